use super::*;

#[test]
fn limits_are_set_by_name_and_unit() {
    let mut limits = Limits::new();
    for text in ["connections=7", "head-bytes=16KiB", "body-idle=1m30s"] {
        limits.set(text).unwrap();
    }
    assert_eq!(limits.count(Limit::Connections), 7);
    assert_eq!(limits.count(Limit::HeadBytes), 16 * 1024);
    assert_eq!(limits.time(Limit::BodyIdle), Duration::from_secs(90));
    assert_eq!(limits.text(Limit::BodyIdle), "1m30s");
    let wrong = |text: &str| limits.clone().set(text).unwrap_err().to_string();
    for (text, says) in [
        ("connections", "NAME=VALUE"),
        ("conections=7", "there are connections, "),
        ("connections=many", "connections is a number"),
        ("connections=-1", "connections is a number"),
        ("connections=0", "must be 1 at least"),
        ("head-bytes=64KB", "64KiB"),
        ("head-bytes=1KiB", "must be 8KiB at least"),
        ("head-bytes=99999999999GiB", "a number of bytes"),
        ("head-time=30", "30s"),
        ("head-time=-30s", "a time"),
    ] {
        assert!(wrong(text).contains(says), "{text}: {}", wrong(text));
    }
}

#[test]
fn limits_are_read_from_what_is_measured() {
    let metrics = "# TYPE gitpod_limit gauge\ngitpod_limit{limit=\"head-time\"} 0.2\n\
        gitpod_limit{limit=\"clone-bytes\"} 21474836480\ngitpod_limit{limit=\"new\"} 1\n";
    let limits = Limits::of_metrics(metrics).unwrap();
    assert_eq!(limits.text(Limit::HeadTime), "200ms");
    assert_eq!(limits.text(Limit::CloneBytes), "20GiB");
    assert_eq!(limits.text(Limit::Streams), Limit::Streams.usual());
    assert_eq!(Limits::of_metrics("up 1\n"), None);
}

#[test]
fn every_limit_can_be_written_as_it_is_shown() {
    for limit in Limit::ALL {
        let text = format!("{}={}", limit.name(), limit.usual());
        let mut limits = Limits::new();
        limits
            .set(&text)
            .unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(limits.text(limit), limit.usual());
    }
}
