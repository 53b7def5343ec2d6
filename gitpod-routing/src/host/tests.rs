use proptest::prelude::*;

use super::*;

fn pattern() -> HostPattern {
    HostPattern::new("ws.example.com").unwrap()
}

fn read(pattern: &HostPattern, host: &str) -> Result<(String, Endpoint, bool), HostError> {
    match pattern.parse(host)? {
        HostName::Workspace(t) => Ok((t.workspace.to_string(), t.endpoint, t.debug)),
        HostName::Foreign(label) => Ok((label.into(), Endpoint::Port(0), false)),
    }
}

#[test]
fn labels_name_workspaces_ports_and_debug_workspaces() {
    let cases = [
        (
            "pink-panda-ns35kd21",
            "pink-panda-ns35kd21",
            Endpoint::Ide,
            false,
        ),
        (
            "PINK-panda-ns35kd21",
            "pink-panda-ns35kd21",
            Endpoint::Ide,
            false,
        ), // DNS ignores case
        (
            "8080-pink-panda-ns35kd21",
            "pink-panda-ns35kd21",
            Endpoint::Port(8080),
            false,
        ),
        (
            "debug-pink-panda-ns35kd21",
            "pink-panda-ns35kd21",
            Endpoint::Ide,
            true,
        ),
        (
            "1-debug-pink-panda-ns35kd21",
            "pink-panda-ns35kd21",
            Endpoint::Port(1),
            true,
        ),
        (
            "42-panda-ns35kd21",
            "42-panda-ns35kd21",
            Endpoint::Ide,
            false,
        ), // three words: an id
        (
            "debug-cat-abcdefgh",
            "debug-cat-abcdefgh",
            Endpoint::Ide,
            false,
        ), // three words: an id
        (
            "3000-debug-cat-abcdefgh",
            "debug-cat-abcdefgh",
            Endpoint::Port(3000),
            false,
        ),
    ];
    for (label, id, endpoint, debug) in cases {
        let got = read(&pattern(), &format!("{label}.ws.example.com"));
        assert_eq!(got, Ok((id.into(), endpoint, debug)), "{label}");
    }
}

#[test]
fn nothing_but_the_whole_name_matches() {
    let long = format!("{}.ws.example.com", "a".repeat(64));
    let longer = format!("{}ws.example.com", "a.".repeat(130));
    let cases = [
        (
            "pink-panda-ns35kd21.ws.example.com.evil.test",
            HostError::OtherDomain,
        ),
        ("pink-panda-ns35kd21.wsXexample.com", HostError::OtherDomain), // a dot is a dot
        ("pink-panda-ns35kd21xws.example.com", HostError::OtherDomain),
        ("a.pink-panda-ns35kd21.ws.example.com", HostError::BadLabel),
        ("ws.example.com", HostError::OtherDomain),
        (".ws.example.com", HostError::BadLabel),
        ("", HostError::Missing),
        (":80", HostError::Missing),
        (
            "pink-panda-ns35kd21.ws.example.com..",
            HostError::OtherDomain,
        ),
        ("pink-panda-ns35kd21.ws.example.com:", HostError::Malformed),
        (
            "pink-panda-ns35kd21.ws.example.com:080",
            HostError::Malformed,
        ),
        (
            "pink-panda-ns35kd21.ws.example.com:70000",
            HostError::Malformed,
        ),
        (
            "user@pink-panda-ns35kd21.ws.example.com",
            HostError::BadLabel,
        ),
        ("[::1]", HostError::Malformed),
        ("0-pink-panda-ns35kd21.ws.example.com", HostError::BadLabel),
        (
            "0080-pink-panda-ns35kd21.ws.example.com",
            HostError::BadLabel,
        ),
        (
            "65536-pink-panda-ns35kd21.ws.example.com",
            HostError::BadLabel,
        ),
        (
            "+80-pink-panda-ns35kd21.ws.example.com",
            HostError::BadLabel,
        ),
        (
            "-80-pink-panda-ns35kd21.ws.example.com",
            HostError::BadLabel,
        ),
        (
            "８０-pink-panda-ns35kd21.ws.example.com",
            HostError::BadLabel,
        ),
        ("pink-panda-ns35kd21\0.ws.example.com", HostError::BadLabel),
        (&long, HostError::Malformed),
        (&longer, HostError::Malformed),
    ];
    for (host, expected) in cases {
        assert_eq!(read(&pattern(), host), Err(expected), "{host}");
    }
}

#[test]
fn one_dot_and_a_port_may_follow() {
    for end in ["", ".", ":8080", ".:8080"] {
        let host = format!("pink-panda-ns35kd21.ws.example.com{end}");
        assert!(pattern().parse(&host).is_ok(), "{host}");
    }
}

#[test]
fn domains_that_are_no_hostnames_are_refused() {
    for domain in ["", ".a", "a.", "a..b", "a b", "a/b", "ws*.a", "é.test"] {
        assert_eq!(
            HostPattern::new(domain),
            Err(HostError::BadDomain),
            "{domain}"
        );
    }
}

#[test]
fn siblings_match_for_editors_only() {
    let siblings = SiblingPattern::new("ws*.example.com").unwrap();
    let pattern = HostPattern::new("ws-eu01.example.com")
        .unwrap()
        .with_siblings(siblings);
    let cases = [
        ("pink-panda-ns35kd21.ws-us77.example.com", true),
        ("debug-pink-panda-ns35kd21.ws-us77.example.com", true),
        ("pink-panda-ns35kd21.ws.example.com", true),
        ("3000-pink-panda-ns35kd21.ws-us77.example.com", false),
        ("abc.ws-us77.example.com", false), // foreign
        ("pink-panda-ns35kd21.ws-a.b.example.com", false),
        ("pink-panda-ns35kd21.ws-us77.example.com.evil.test", false),
        ("3000-pink-panda-ns35kd21.ws-eu01.example.com", true),
    ];
    for (host, expected) in cases {
        assert_eq!(pattern.parse(host).is_ok(), expected, "{host}");
    }
}

#[test]
fn foreign_path_names_a_workspace_and_keeps_the_rest_byte_for_byte() {
    let (target, rest) = pattern()
        .parse_foreign_path("/8080-debug-pink-panda-ns35kd21/a%2Fb//c")
        .unwrap();
    assert_eq!(target.endpoint, Endpoint::Port(8080));
    assert!(target.debug);
    assert_eq!(target.via, Via::ForeignHost);
    assert_eq!(rest, "/a%2Fb//c");
    for path in [
        "/8080-pink-panda-ns35kd21",
        "/",
        "",
        "/x/8080-pink-panda-ns35kd21/",
    ] {
        let got = pattern().parse_foreign_path(path);
        assert_eq!(got, Err(HostError::BadForeignPath), "{path}");
    }
}

fn any_id() -> impl Strategy<Value = WorkspaceId> {
    let words = "[0-9a-z]{2,16}-[0-9a-z]{2,16}-[0-9a-z]{8,11}";
    let debug = "debug-[0-9a-z]{2,16}-[0-9a-z]{8,11}";
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    prop_oneof![words, debug, uuid].prop_map(|text| text.parse().unwrap())
}

fn any_name() -> impl Strategy<Value = HostName> {
    let endpoint = prop_oneof![Just(Endpoint::Ide), (1..=u16::MAX).prop_map(Endpoint::Port)];
    let via = Via::OwnHost;
    let target =
        (any_id(), endpoint, any::<bool>()).prop_map(move |(workspace, endpoint, debug)| {
            HostName::Workspace(HostTarget {
                workspace,
                endpoint,
                debug,
                via,
            })
        });
    let foreign = "(v--)?[0-9a-v]{1,60}".prop_map(|label| HostName::Foreign(label.into()));
    prop_oneof![3 => target, 1 => foreign]
}

proptest! {
    #[test]
    fn what_is_built_parses_to_the_same(name in any_name()) {
        let host = pattern().build(&name);
        prop_assert_eq!(pattern().parse(&host), Ok(name.clone()));
        prop_assert_eq!(pattern().parse(&host.to_ascii_uppercase()), Ok(name));
    }

    #[test]
    fn what_parses_is_built_to_the_same(label in "[0-9a-z-]{1,50}") {
        let host = format!("{label}.ws.example.com");
        if let Ok(name) = pattern().parse(&host) {
            prop_assert_eq!(pattern().build(&name), host);
        }
    }

    #[test]
    fn no_text_panics(host in ".*") {
        let _ = pattern().parse(&host);
        let _ = pattern().parse_foreign_path(&host);
    }
}
