//! The page under attack: requests of each class, sent by hand. `page_browser` lets a
//! browser send them.

use serde_json::json;

use crate::harness::{Up, repository};
use crate::page_visitor::{Visitor, invitation, workspaces};

#[test]
fn attack_10_page_does_not_answer_to_names_that_others_can_point_here() {
    let up = Up::new();
    let mut owner = Visitor::signed_in(&up);
    let port = owner.host.rsplit_once(':').unwrap().1.to_owned();
    for name in [
        "evil.test",
        "ws.localhost",
        "localhost.evil.test",
        "127.0.0.1.nip.io",
        "127.1",
    ] {
        owner.host = format!("{name}:{port}");
        let answer = owner.get("/", &[]);
        assert_eq!(answer.status(), 404, "{name}");
        assert!(!answer.body().contains("New workspace"), "{name}");
    }
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        owner.host = format!("{name}:{port}");
        assert_eq!(owner.get("/", &[]).status(), 200, "{name}");
    }
}

#[test]
fn attack_26_signing_in_leads_to_the_page_and_nowhere_else() {
    let up = Up::new();
    let stranger = Visitor::stranger(&up);
    for extra in [
        "&returnTo=//evil.test",
        "&next=https://evil.test",
        "#//evil.test",
    ] {
        let link = format!("{}{extra}", invitation(&up).split('#').next().unwrap());
        let link = link.split('#').next().unwrap();
        let answer = stranger.get(link, &[]);
        assert_eq!(answer.status(), 303, "{extra}");
        assert!(answer.0.contains("location: /\r\n"), "{}", answer.0);
    }
    let owner = Visitor::signed_in(&up);
    for path in [
        "//evil.test",
        "/\\evil.test",
        "/open//evil.test",
        "/open/evil.test/80",
    ] {
        let answer = owner.get(path, &[]);
        assert!(!answer.0.contains("location:"), "{path}: {}", answer.0);
    }
}

#[test]
fn attack_27_link_counts_for_one_host_and_one_browser() {
    let up = Up::new();
    let repo = repository(&[]);
    let (one, two) = (up.start(repo.path()), up.start(repo.path()));
    let url = up.json(&["open", one.id(), "-o", "json"])["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    for host in [two.ide_host(), two.host(3000), one.host(3000)] {
        assert_eq!(up.request(&host, &path, &[]).status(), 403, "{host}");
    }
    let mut bent = path.clone();
    bent.replace_range(
        bent.len() - 9..bent.len() - 8,
        if bent.ends_with('A') { "B" } else { "A" },
    );
    assert_ne!(
        up.request(&one.ide_host(), &bent, &[]).status(),
        303,
        "bent"
    );
    assert_eq!(up.request(&one.ide_host(), &path, &[]).status(), 303);
    assert_eq!(
        up.request(&one.ide_host(), &path, &[]).status(),
        403,
        "again"
    );

    // A cookie that somebody else has set is no session, and does not lock the owner out.
    let mut owner = Visitor::signed_in(&up);
    let own = owner.cookie.take().unwrap();
    let (name, _) = own.split_once('=').unwrap();
    owner.cookie = Some(format!("{name}=stolen"));
    assert_eq!(owner.get("/", &[]).status(), 401);
    owner.cookie = Some(format!("{name}=stolen; {own}"));
    assert_eq!(owner.get("/", &[]).status(), 200);
}

#[test]
fn attack_28_answers_repeat_nothing_of_what_was_asked_as_markup() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let script = "<script>alert(1)</script>";
    let answers = [
        owner.get("/sign-in?once=%3Cscript%3Ealert(1)%3C/script%3E", &[]),
        owner.get("/open/%3Cscript%3E", &[]),
        owner.post("/api/workspaces", &json!({"repository": script})),
        owner.post("/api/workspaces/%3Cscript%3E/stop", &json!({})),
    ];
    for answer in answers {
        let is_html = answer.0.contains("content-type: text/html");
        assert!(
            !is_html || !answer.body().contains("<script>alert"),
            "{}",
            answer.0
        );
        assert!(
            answer.0.contains("x-content-type-options: nosniff"),
            "{}",
            answer.0
        );
    }
}

#[test]
fn attack_29_no_answer_may_be_read_by_another_origin() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let evil = (
        "Origin",
        "http://3000-pink-panda-ns35kd21.ws.localhost:8080",
    );
    let asked = ("Access-Control-Request-Method", "POST");
    for (method, path) in [
        ("OPTIONS", "/api/workspaces"),
        ("OPTIONS", "/api/events"),
        ("GET", "/"),
        ("GET", "/static/app.js"),
        ("GET", "/api/events?"),
    ] {
        if path.ends_with('?') {
            continue; // an endless answer; its head is that of every other
        }
        let answer = owner.send(method, path, &[evil, asked], "");
        let head = answer.0.to_lowercase();
        assert!(!head.contains("access-control-"), "{method} {path}: {head}");
        assert!(
            head.contains("cross-origin-resource-policy: same-origin"),
            "{path}"
        );
    }
}

#[test]
fn attack_31_nothing_is_changed_for_another_page_even_with_the_cookie() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let repo = repository(&[]);
    let body = json!({"repository": repo.path().to_str().unwrap()}).to_string();
    let own = format!("http://{}", owner.host);
    let json = ("Content-Type", "application/json");
    let same = ("Sec-Fetch-Site", "same-origin");
    let origin = |value: &'static str| ("Origin", value);
    let cases: [&[(&str, &str)]; 9] = [
        &[
            json,
            same,
            origin("http://3000-pink-panda-ns35kd21.ws.localhost:8080"),
        ],
        &[json, same, origin("http://localhost:3000")],
        &[json, same, origin("https://evil.test")],
        &[json, same, origin("null")],
        &[json, same],
        &[json, ("Origin", &own), ("Sec-Fetch-Site", "same-site")],
        &[json, ("Origin", &own), ("Sec-Fetch-Site", "cross-site")],
        &[json, ("Origin", &own), ("Sec-Fetch-Site", "none")],
        &[
            json,
            same,
            ("Origin", &own),
            ("Origin", "https://evil.test"),
        ],
    ];
    for headers in cases {
        let answer = owner.send("POST", "/api/workspaces", headers, &body);
        assert_eq!(answer.status(), 403, "{headers:?}");
    }
    // What forms can send.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let headers = [same, ("Origin", own.as_str()), ("Content-Type", kind)];
        let answer = owner.send("POST", "/api/workspaces", &headers, &body);
        assert_eq!(answer.status(), 415, "{kind}");
    }
    let by_get = owner.get("/api/workspaces?repository=/", &[]);
    assert_eq!(by_get.status(), 405);
    assert_eq!(workspaces(&up), 0);
}

#[test]
fn attack_32_page_cannot_be_framed_or_embedded() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let answer = owner.get("/", &[]);
    for header in [
        "x-frame-options: DENY",
        "frame-ancestors 'none'",
        "cross-origin-opener-policy: same-origin",
        "cache-control: no-store",
        "require-trusted-types-for 'script'",
    ] {
        assert!(answer.0.contains(header), "{header}: {}", answer.0);
    }
    assert!(!answer.0.contains("unsafe-"), "{}", answer.0);
    for (dest, mode) in [
        ("iframe", "navigate"),
        ("object", "navigate"),
        ("script", "no-cors"),
    ] {
        let headers = [
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Mode", mode),
        ];
        let answer = owner.get("/", &headers);
        assert_eq!(answer.status(), 403, "{dest}");
        assert!(!answer.body().contains("New workspace"));
    }
}
