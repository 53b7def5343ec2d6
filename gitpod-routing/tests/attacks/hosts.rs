//! Whose request it is.

use crate::http2::{Answer, Client};
use crate::support::*;
use crate::world::{OTHER, World, status};

#[tokio::test]
async fn attack_01_a_host_is_the_name_of_one_workspace_or_of_none() {
    let world = World::new().await;
    let name = world.host();
    let same = [
        name.clone(),
        name.to_ascii_uppercase(),
        format!("{name}."),
        format!("{name}:8080"),
        format!("{name}.:80"),
        format!("  {name}\t"), // blanks around a value are not part of it
    ];
    for host in same {
        let answer = world.get(&host, "/", "").await;
        assert!(answer.ends_with("\r\n\r\nmine"), "{host:?}: {answer}");
        assert_eq!(world.seen.who(), ["mine"], "{host:?}");
    }
    let long_label = format!("{}-{ID}.{DOMAIN}", "9".repeat(64));
    let long = format!("{name}{}", ".a".repeat(130));
    let none = [
        String::new(),
        format!("{name}.evil.test"),
        format!("{name}.."),
        format!(".{name}"),
        format!("x.{name}"),
        format!("{name}:"),
        format!("{name}:080"),
        format!("{name}:65536"),
        format!("{name}:80:80"),
        format!("{name}@evil.test"),
        format!("user@{name}"),
        format!("user:{OTHER}@{name}"),
        format!("evil.test/{name}"),
        format!("{name}/"),
        format!("{name}?"),
        format!("{name}#"),
        format!("{name}, evil.test"),
        format!("{name} evil.test"),
        format!("{name}\0"),
        format!("{name}\0.evil.test"),
        format!("{name}%00"),
        format!("{name}%2eevil.test"),
        format!("{}\u{3002}{DOMAIN}", host_label(&name)), // a dot of another script
        format!("xn--{name}"),
        format!("{}.xn--ws-hja.example.com", host_label(&name)),
        format!("p\u{e4}nda.{DOMAIN}"),
        "[::1]".to_owned(),
        "[::ffff:127.0.0.1]:80".to_owned(),
        "127.0.0.1".to_owned(),
        "localhost".to_owned(),
        DOMAIN.to_owned(),
        long_label,
        long,
    ];
    for host in none {
        let answer = world.get(&host, "/", "").await;
        assert!(matches!(status(&answer), 400 | 404), "{host:?}: {answer}");
        assert_eq!(world.seen.who(), [""; 0], "{host:?}");
    }
}

fn host_label(name: &str) -> &str {
    name.split('.').next().unwrap()
}

#[tokio::test]
async fn attack_02_hosts_that_contradict_each_other_are_refused() {
    let world = World::new().await;
    let (one, two) = (world.host(), format!("{}-{OTHER}.{DOMAIN}", world.port));
    let heads = [
        format!("GET / HTTP/1.1\nhost: {one}\nhost: {two}\n\n"),
        format!("GET / HTTP/1.1\nhost: {one}\nhost: {one}\n\n"),
        format!("GET / HTTP/1.1\nhost: {one}\nHOST: {two}\n\n"),
        format!("GET http://{two}/ HTTP/1.1\nhost: {one}\n\n"),
        format!("GET http://{one}@{two}/ HTTP/1.1\nhost: {one}\n\n"),
        format!("GET http://{one}/ HTTP/1.1\n\n"),
        "GET / HTTP/1.1\n\n".to_owned(),
        format!("GET / HTTP/1.1\nhost : {one}\n\n"),
        format!("GET / HTTP/1.1\n host: {one}\n\n"),
        format!("GET / HTTP/1.1\nhost:\n {one}\n\n"), // continued on the next line
    ];
    for head in heads {
        let answer = world.send(crlf(&head)).await;
        assert_eq!(status(&answer), 400, "{head}: {answer}");
        assert_eq!(world.seen.who(), [""; 0], "{head}");
    }
    let cases = [
        (vec![(":authority", &*one), ("host", &*one)], true),
        (vec![(":authority", &*one), ("host", &*two)], false),
        (vec![(":authority", &*one), (":authority", &*two)], false),
        (vec![("host", &*one), ("host", &*two)], false),
    ];
    for (fields, good) in cases {
        let mut client = Client::connect(world.address).await;
        let answer = client.ask(&fields).await;
        let seen = world.seen.who();
        match good {
            true => assert_eq!((answer, &*seen), (Answer::Status(200), &["mine"][..])),
            false => {
                assert!(answer.is_refusal(), "{fields:?}: {answer:?}");
                assert_eq!(seen, [""; 0], "{fields:?}");
            }
        }
    }
}

#[tokio::test]
async fn attack_04_what_a_client_says_of_the_way_it_came_names_no_workspace() {
    let world = World::new().await;
    let other = format!("{}-{OTHER}.{DOMAIN}", world.port);
    let claims = [
        "x-forwarded-host",
        "x-wsproxy-host",
        "x-original-host",
        "x-host",
        "x-forwarded-server",
        "x_forwarded_host",
        "x-original-url",
        "x-rewrite-url",
        "x-http-host-override",
        "x-gitpod-workspaceid",
        "x-gitpod-port",
    ];
    for name in claims {
        let claim = format!("{name}: {other}\n");
        let answer = world.get(&world.host(), "/", &claim).await;
        assert!(answer.ends_with("mine"), "{name}: {answer}");
        let seen = world.seen.take();
        assert_eq!((seen.len(), seen[0].0), (1, "mine"), "{name}");
        let told = format!("x-forwarded-host: {}\r\n", world.host());
        assert!(seen[0].1.contains(&told), "{name}: {}", seen[0].1);
    }
    let forwarded = format!("forwarded: host={other};for=6.6.6.6\nx-forwarded-host: {other}\n");
    world.get(&world.host(), "/", &forwarded).await;
    let seen = world.seen.take();
    assert!(!seen[0].1.contains(OTHER), "{}", seen[0].1);
}

#[tokio::test]
async fn attack_05_a_client_cannot_say_where_it_comes_from() {
    let world = World::new().await;
    let claims = [
        "x-forwarded-for: 6.6.6.6\n",
        "x-forwarded-for: 6.6.6.6, 127.0.0.1\nx-forwarded-for: 7.7.7.7\n",
        "X_Forwarded_For: 6.6.6.6\n",
        "forwarded: for=6.6.6.6\n",
        "x-real-ip: 6.6.6.6\n",
        "connection: x-forwarded-for\nx-forwarded-for: 6.6.6.6\n",
    ];
    for claim in claims {
        world.get(&world.host(), "/", claim).await;
        let head = world.seen.take().remove(0).1;
        assert!(!head.contains("6.6.6.6"), "{claim}: {head}");
        let told: Vec<&str> = head
            .lines()
            .filter(|l| l.contains("forwarded-for"))
            .collect();
        assert_eq!(told, ["x-forwarded-for: 127.0.0.1"], "{claim}: {head}");
    }
}

#[tokio::test]
async fn attack_06_a_port_is_a_number_that_a_user_may_open() {
    let world = World::new().await;
    let owner = format!("x-gitpod-owner-token: {TOKEN}\n");
    let ports = [
        "0",
        "00",
        "65536",
        "70000",
        "4294967376",
        "99999999999999999999",
        "+80",
        "-80",
        "0080",
        "8O80",
        "0x50",
        "8_0",
        "80.0",
        "80%30",
        "\u{ff18}\u{ff10}",
        "",
    ];
    for port in ports {
        let answer = world
            .get(&format!("{port}-{ID}.{DOMAIN}"), "/", &owner)
            .await;
        assert!(matches!(status(&answer), 400 | 404), "{port}: {answer}");
        assert_eq!(world.seen.who(), [""; 0], "{port}");
    }
    // The supervisor's is reached by its own path only, whoever asks and whatever is said of it.
    let supervisor = format!("{}-{ID}.{DOMAIN}", world.supervisor);
    let answer = world.get(&supervisor, "/", &owner).await;
    assert!(matches!(status(&answer), 403 | 404 | 502), "{answer}");
    assert_eq!(world.seen.who(), [""; 0]);
}
