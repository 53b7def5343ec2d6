//! What is asked for: what was decided on is what is sent on.

use crate::support::*;
use crate::world::{OTHER, World, status};

/// Paths that servers read in different ways.
const ODD: [&str; 22] = [
    "/%2e%2e/a",
    "/a/../b",
    "/a/./b",
    "//a//b",
    "/a\\b",
    "/\\..\\b",
    "/a;b=1/c",
    "/a%00b",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%252e%252e/b",
    "/%c0%af",
    "/%zz",
    "/%",
    "/a%0d%0aX-Y:%20z",
    "/a?b?c#",
    "/?a=%2e%2e&b=//c",
    "/a%23b",
    "/~a'b(c)!$*,:@",
    "/{a}|b^`",
    "/\u{e4}",
];

#[tokio::test]
async fn attack_07_bytes_of_a_path_are_sent_on_as_they_came() {
    let world = World::new().await;
    for path in ODD {
        let answer = world.get(&world.host(), path, "").await;
        // What is no target of HTTP is refused; nothing is repaired.
        match status(&answer) {
            200 => assert_eq!(world.seen.target(), path.trim_end_matches('#')),
            refused => {
                assert_eq!(
                    (refused, &*world.seen.who()),
                    (400, &[][..]),
                    "{path}: {answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn attack_07_no_spelling_of_a_path_reaches_the_supervisor_without_the_token() {
    let world = World::changed(|proxy| {
        let policy = gitpod_routing::AccessPolicy::new(pattern(), "example.com");
        proxy.with_policy(policy.with_open_status_routes().with_open_frontend())
    })
    .await;
    let editor = format!("{ID}.{DOMAIN}");
    let open = [
        "/_supervisor/v1/status/ide",
        "/_supervisor/frontend/main.js",
    ];
    for path in open {
        assert_eq!(status(&world.get(&editor, path, "").await), 200, "{path}");
        assert_eq!(world.seen.target(), path);
    }
    let closed = [
        "/_supervisor",
        "/_supervisor/v1/info",
        "/_supervisor/v1/status/ide/../../token",
        "/_supervisor/v1/status/ide/%2e%2e/%2e%2e/token",
        "/_supervisor/v1/status/ide%2f..%2f..%2ftoken",
        "/_supervisor/v1/status/idex",
        "/_supervisor/v1/status//ide",
        "/_supervisor//v1/status/ide",
        "//_supervisor/v1/status/ide",
        "/_supervisor/frontend/../v1/token",
        "/_supervisor/frontend/%2e%2e/v1/token",
        "/_supervisor/frontend/..%5cv1/token",
        "/_supervisor/frontendx",
        "/%5fsupervisor/v1/token",
        "/%5Fsupervisor/frontend/main.js",
        "/x/../_supervisor/v1/token",
        "/./_supervisor/v1/token",
        "/_supervisor/./v1/status/ide",
    ];
    for path in closed {
        let answer = world.get(&editor, path, "").await;
        assert!(matches!(status(&answer), 400 | 401), "{path}: {answer}");
        assert_eq!(world.seen.who(), [""; 0], "{path}");
    }
}

#[tokio::test]
async fn attack_07_whatever_a_server_may_take_for_the_supervisor_is_sent_to_it_alone() {
    let world = World::new().await;
    let owner = format!("x-gitpod-owner-token: {TOKEN}\n");
    let cases = [
        ("/_supervisor/v1/x", "my supervisor"),
        ("/%5fsupervisor/v1/x", "my supervisor"),
        ("/a/..//_supervisor/v1", "my supervisor"),
        ("/_supervisorx", "mine"),
        ("/a/_supervisor", "mine"),
    ];
    for (path, expected) in cases {
        let answer = world.get(&format!("{ID}.{DOMAIN}"), path, &owner).await;
        assert!(answer.ends_with(expected), "{path}: {answer}");
        assert_eq!(world.seen.target(), path);
    }
}

#[tokio::test]
async fn attack_08_a_path_on_a_foreign_host_names_one_workspace_or_none() {
    let world = World::new().await;
    let (port, foreign) = (world.port, format!("v--0123abc.{DOMAIN}"));
    let good = [
        (format!("/{port}-{ID}/"), "/"),
        (format!("/{port}-{ID}/a%2Fb//c?d"), "/a%2Fb//c?d"),
        // The rest is up to the server of the workspace that was named.
        (
            format!("/{port}-{ID}/../{port}-{OTHER}/"),
            &*format!("/../{port}-{OTHER}/"),
        ),
        (format!("/{port}-{ID}//evil.test/"), "//evil.test/"),
    ]
    .map(|(target, sent)| (target, sent.to_owned()));
    for (target, sent) in good {
        let answer = world.get(&foreign, &target, "").await;
        assert!(answer.ends_with("mine"), "{target}: {answer}");
        assert_eq!(world.seen.target(), sent, "{target}");
    }
    let bad = [
        format!("/{port}-{ID}"),
        format!("/{port}-{ID}?x=/"),
        format!("//{port}-{ID}/"),
        format!("/./{port}-{ID}/"),
        format!("/{port}-%70ink-panda-ns35kd21/"),
        format!("/{port}%2d{ID}/"),
        format!("/{port}-{ID}%2f/"),
        format!("/{port}-{ID};x/"),
        format!("/{port}-{ID}\\/"),
        format!("/{}-{ID}/", port.to_string() + "0000"),
        format!("/{ID}/"), // no editor on an origin that others share
        format!("/{ID}.{DOMAIN}/"),
        "/".to_owned(),
    ];
    for target in bad {
        let answer = world.get(&foreign, &target, "").await;
        assert!(matches!(status(&answer), 400 | 404), "{target}: {answer}");
        assert_eq!(world.seen.who(), [""; 0], "{target}");
    }
}

#[tokio::test]
async fn attack_09_nothing_in_a_request_is_an_address_to_connect_to() {
    let world = World::new().await;
    let metadata = "169.254.169.254";
    for name in [
        "x-pod-ip",
        "x-gitpod-pod-ip",
        "x-envoy-original-dst-host",
        "x-upstream",
        "x-target",
    ] {
        let answer = world
            .get(&world.host(), "/", &format!("{name}: {metadata}\n"))
            .await;
        assert!(answer.ends_with("mine"), "{name}: {answer}");
    }
    world.seen.take();
    let targets = [
        format!("http://{metadata}/latest/meta-data"),
        format!("http://[::ffff:{metadata}]/"),
        format!("http://127.0.0.2:{}/", world.port),
        format!("//127.0.0.2:{}/", world.port),
    ];
    for target in targets {
        for host in [world.host(), metadata.to_owned()] {
            let answer = world.get(&host, &target, "").await;
            let seen = world.seen.who();
            // A path that looks like an address is one of the workspace that was named.
            let as_path = target.starts_with("//") && host == world.host();
            assert_eq!(
                seen,
                if as_path { vec!["mine"] } else { vec![] },
                "{target} {answer}"
            );
        }
    }
}
