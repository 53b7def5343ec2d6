//! What pages of other origins have a browser send.

use crate::support::*;
use crate::world::{OTHER, World, status};

const COOKIE: &str = "cookie: _example_com_ws_i-1_owner_=s3cret-owner-token\n";

#[tokio::test]
async fn attack_22_a_page_of_another_workspace_or_of_none_cannot_connect_to_supervisor_or_editor() {
    let world = World::new().await;
    let upgrade = format!("{COOKIE}upgrade: websocket\nconnection: upgrade\n");
    let origins = [
        format!("https://{OTHER}.{DOMAIN}"),
        format!("https://8080-{OTHER}.{DOMAIN}"),
        format!("https://v--0123abc.{DOMAIN}"),
        format!("https://{DOMAIN}"),
        format!("https://{ID}.{DOMAIN}.evil.test"),
        format!("https://evil.test/{ID}.{DOMAIN}"),
        format!("https://{ID}.{DOMAIN}@evil.test"),
        "https://example.com.evil.test".to_owned(),
        "https://xexample.com".to_owned(),
        "null".to_owned(),
        "file://".to_owned(),
        String::new(),
        "chrome-extension://abcdef".to_owned(),
    ];
    for origin in origins {
        for path in ["/", "/_supervisor/v1/terminal"] {
            let fields = format!("{upgrade}origin: {origin}\nsec-fetch-mode: websocket\n");
            let answer = world.get(&format!("{ID}.{DOMAIN}"), path, &fields).await;
            assert_eq!(status(&answer), 403, "{origin} {path}: {answer}");
            assert_eq!(world.seen.who(), [""; 0], "{origin} {path}");
        }
    }
}

#[tokio::test]
async fn attack_23_cookies_that_a_sibling_tosses_change_nothing() {
    let world = World::new().await;
    let host = format!("{}-{ID}.{DOMAIN}", world.private);
    let name = "_example_com_ws_i-1_owner_";
    let lines = [
        (format!("{name}=bad; {name}={TOKEN}"), 200),
        (format!("{name}={TOKEN}; {name}=bad"), 200),
        (format!("{name}=; {name}={TOKEN}"), 200),
        (format!("{name}=bad; {name}=worse"), 403),
        (format!(" {name}={TOKEN}"), 200),
        (format!("{}={TOKEN}", name.to_ascii_uppercase()), 401),
        (format!("x{name}={TOKEN}"), 401),
        (format!("={name}={TOKEN}"), 401), // a nameless cookie that looks like ours
        (format!("{name}x={TOKEN}"), 401),
        (format!("__Host-{name}={TOKEN}"), 401), // no name that we ever set
        ("a=b".to_owned(), 401),
    ];
    for (line, expected) in lines {
        let answer = world.get(&host, "/", &format!("cookie: {line}\n")).await;
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        for (_, head) in world.seen.take() {
            assert!(!head.contains("_owner_"), "{line}: {head}");
        }
    }
    // A jar that was filled up to push ours out, or to make every request too long.
    let filled: Vec<String> = (0..200)
        .map(|n| format!("c{n}={}", "v".repeat(4000)))
        .collect();
    for (count, expected) in [(10, 200), (200, 431)] {
        let jar = filled[..count].join("; ");
        let answer = world
            .get(&host, "/", &format!("cookie: {jar}; {name}={TOKEN}\n"))
            .await;
        assert_eq!(
            status(&answer),
            expected,
            "{count}: {}",
            &answer[..200.min(answer.len())]
        );
    }
}

#[tokio::test]
async fn attack_29_nothing_is_granted_to_other_origins_in_the_name_of_a_workspace() {
    let world = World::new().await;
    let private = format!("{}-{ID}.{DOMAIN}", world.private);
    let hosts = [
        private,
        format!("{ID}.{DOMAIN}"),
        format!("unknown.{DOMAIN}"),
    ];
    for host in &hosts {
        for method in ["OPTIONS", "GET", "POST"] {
            let head = format!(
                "{method} / HTTP/1.1\nhost: {host}\nconnection: close\norigin: https://evil.test\n\
                 access-control-request-method: PUT\naccess-control-request-headers: x-gitpod-owner-token\n\
                 access-control-request-private-network: true\ncontent-length: 0\n\n"
            );
            let answer = world.send(crlf(&head)).await.to_ascii_lowercase();
            assert!(
                matches!(status(&answer), 401 | 404),
                "{method} {host}: {answer}"
            );
            assert!(
                !answer.contains("access-control-"),
                "{method} {host}: {answer}"
            );
            assert!(!answer.contains("evil.test"), "{method} {host}: {answer}");
        }
    }
    assert_eq!(world.seen.who(), [""; 0]);
    // An app's own answer is its own affair: ours adds nothing to it.
    let answer = world
        .get(&world.host(), "/", "origin: https://evil.test\n")
        .await;
    assert!(
        !answer.to_ascii_lowercase().contains("access-control-"),
        "{answer}"
    );
}
