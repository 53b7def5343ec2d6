//! The page of all workspaces: who gets in, and who does not.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Up, free_port, repository, wait_until};
use crate::page_visitor::{Visitor, cookie, invitation, workspaces};

#[test]
fn page_is_for_who_has_the_link_and_the_link_is_good_once() {
    let up = Up::new();
    let stranger = Visitor::stranger(&up);
    let refused = stranger.get("/", &[]);
    assert_eq!(refused.status(), 401);
    assert!(refused.body().contains("gitpod open"), "{}", refused.0);
    for path in ["/api/events", "/api/workspaces/pink-panda-ns35kd21/logs"] {
        assert_eq!(stranger.get(path, &[]).status(), 401, "{path}");
    }
    let create = json!({"repository": "/"});
    assert_eq!(stranger.post("/api/workspaces", &create).status(), 401);

    let link = invitation(&up);
    let first = stranger.get(&link, &[]);
    let cookie = cookie(&first);
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(stranger.get(&link, &[]).status(), 401, "used");
    assert_eq!(stranger.get("/sign-in?once=guess", &[]).status(), 401);
    assert_eq!(stranger.get("/sign-in", &[]).status(), 401);

    let owner = Visitor::signed_in(&up);
    let page = owner.get("/", &[("Sec-Fetch-Site", "none")]);
    assert_eq!(page.status(), 200);
    assert!(page.body().contains("New workspace"), "{}", page.0);
}

#[test]
fn link_is_not_used_up_by_who_only_fetches_ahead() {
    let up = Up::new();
    let link = invitation(&up);
    let stranger = Visitor::stranger(&up);
    for ahead in [
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Upgrade", "websocket"),
    ] {
        assert_eq!(stranger.get(&link, &[ahead]).status(), 403, "{ahead:?}");
    }
    assert_eq!(stranger.send("HEAD", &link, &[], "").status(), 403);
    assert_eq!(stranger.get(&link, &[]).status(), 303);
}

#[test]
fn session_outlives_up_and_ends_when_signed_out() {
    let up = Up::new();
    let mut owner = Visitor::signed_in(&up);
    let cookie = owner.cookie.take().unwrap();
    let up = Up::at(up.stop(), &[]);

    // It has another port now, which is in the name of the cookie.
    let mut owner = Visitor::stranger(&up);
    let port = owner.host.rsplit_once(':').unwrap().1;
    let secret = cookie.rsplit_once('=').unwrap().1;
    owner.cookie = Some(format!("gitpod_page_{port}={secret}"));
    assert_eq!(owner.get("/", &[]).status(), 200);
    assert_eq!(owner.post("/api/sign-out", &json!({})).status(), 200);
    assert_eq!(owner.get("/", &[]).status(), 401);
}

#[test]
fn workspace_is_made_stopped_started_and_deleted_from_the_page() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let repo = repository(&[]);
    let path = repo.path().to_str().unwrap();
    let made = owner.post(
        "/api/workspaces",
        &json!({"repository": path, "timeout": "20m"}),
    );
    assert_eq!(made.status(), 200, "{}", made.0);
    let id: Value = serde_json::from_str(made.body()).unwrap();
    let id = id["id"].as_str().unwrap();
    let phase = || up.describe(id)["phase"].as_str().unwrap().to_owned();
    wait_until("it runs", || phase() == "running");
    let act = |what: &str, body: Value| {
        let answer = owner.post(&format!("/api/workspaces/{id}/{what}"), &body);
        assert_eq!(answer.status(), 200, "{what}: {}", answer.0);
    };

    act("timeout", json!({"timeout": "2h"}));
    act("wake", json!({"wake": "never"}));
    let told = up.describe(id);
    assert_eq!(
        (&told["timeout"], &told["wake"]),
        (&"2h".into(), &"never".into())
    );
    act("ports", json!({"port": 4000, "visibility": "public"}));
    wait_until("the port is public", || {
        up.describe(id)["ports"][0]["visibility"] == "public"
    });
    act("stop", json!({}));
    assert_eq!(phase(), "stopped");
    act("start", json!({}));
    wait_until("it runs again", || phase() == "running");
    act("delete", json!({}));
    assert_eq!(workspaces(&up), 0);
}

#[test]
fn what_is_wrong_in_a_form_is_told_with_a_fix() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let create = "/api/workspaces";
    let unknown = "/api/workspaces/pink-panda-ns35kd21/stop";
    for (path, body, status) in [
        (create, json!({"repository": ""}), 422),
        (create, json!({"repository": "relative/path"}), 422),
        (create, json!({"repository": "/no/such/place"}), 422),
        (create, json!({"repository": "/", "timeout": "soon"}), 422),
        (create, json!({"repository": "file:///\0x"}), 422),
        (
            create,
            json!({"repository": "--upload-pack=touch://x"}),
            422,
        ),
        (
            create,
            json!({"repository": "https://x.test/", "branch": "--orphan"}),
            422,
        ),
        (create, json!({"repository": 7}), 422),
        (create, json!({"repository": "/", "unknown": 1}), 422),
        (create, json!([]), 422),
        (unknown, json!(1), 404),
        (unknown, json!({}), 404),
        ("/api/workspaces/..%2f..%2fetc/stop", json!({}), 404),
    ] {
        let answer = owner.post(path, &body);
        assert_eq!(answer.status(), status, "{body}: {}", answer.0);
        assert!(
            answer.0.contains("application/problem+json"),
            "{}",
            answer.0
        );
    }
    assert_in_our_words(&owner);
    let relative = owner.post(create, &json!({"repository": "relative/path"}));
    assert!(
        relative.body().contains("begin with https:// or /"),
        "{}",
        relative.0
    );
    assert_eq!(workspaces(&up), 0);
}

/// What is no form at all is refused as everything else is, without a library's own text.
fn assert_in_our_words(owner: &Visitor<'_>) {
    let origin = format!("http://{}", owner.host);
    let json = [
        ("Origin", origin.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/json"),
    ];
    let long = format!("{{\"repository\":\"{}\"}}", "x".repeat(17_000));
    let create = "/api/workspaces";
    for (method, path, body, status) in [
        ("POST", create, "", 400),
        ("POST", create, "{", 400),
        ("POST", create, "\u{feff}{}", 400),
        ("POST", create, long.as_str(), 413),
        ("POST", "/api/workspaces/%ff/stop", "{}", 404),
        ("GET", "/api/workspaces/%ff/logs", "", 404),
        ("GET", "/open/%ff", "", 404),
        ("GET", "/open/pink-panda-ns35kd21/+80", "", 404),
        ("GET", "/open/pink-panda-ns35kd21/%2b80", "", 404),
        ("GET", "/open/pink-panda-ns35kd21/0080", "", 404),
        ("GET", "/open/pink-panda-ns35kd21/70000", "", 404),
        ("GET", "/static/%ff", "", 404),
        ("GET", "/sign-in?once=%ff&once=a", "", 303),
        ("PUT", create, "{}", 405),
    ] {
        let answer = owner.send(method, path, &json, body);
        assert_eq!(answer.status(), status, "{method} {path}: {}", answer.0);
        for words in ["deserialize", "Invalid URL", "Failed to", "EOF while"] {
            assert!(!answer.0.contains(words), "{method} {path}: {}", answer.0);
        }
        let is_told = answer.body().contains("fix") || status == 303;
        assert!(is_told, "{method} {path}: {}", answer.0);
    }
}

#[test]
fn refusals_of_the_page_are_a_page_or_json_or_text_as_their_reader_likes() {
    let up = Up::new();
    let (owner, stranger) = (Visitor::signed_in(&up), Visitor::stranger(&up));
    let browser = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let script = ("Accept", "application/json");
    let terminal = ("Accept", "*/*");
    for (visitor, path, status) in [
        (&stranger, "/", 401),
        (&stranger, "/sign-in?once=guess", 401),
        (&owner, "/nowhere", 404),
        (&owner, "/open/pink-panda-ns35kd21", 404),
        (&owner, "/api/sign-out", 405),
    ] {
        for (accept, kind) in [(browser, "text/html"), (script, "application/problem+json")] {
            let answer = visitor.get(path, &[accept]);
            assert_eq!(answer.status(), status, "{path} {accept:?}");
            let head = format!("content-type: {kind}");
            assert!(answer.0.contains(&head), "{path} {accept:?}: {}", answer.0);
            assert!(answer.0.contains("vary: accept"), "{path}: {}", answer.0);
        }
        let answer = visitor.get(path, &[terminal]);
        let is_api = path.starts_with("/api/"); // programs ask there
        let kind = if is_api {
            "application/problem+json"
        } else {
            "text/plain"
        };
        assert!(answer.0.contains(kind), "{path}: {}", answer.0);
    }
    let allow = owner.get("/api/sign-out", &[script]);
    assert!(
        allow.0.to_lowercase().contains("allow: post"),
        "{}",
        allow.0
    );
}

#[test]
fn events_begin_with_everything_and_hold_no_owner_token() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let repo = repository(&[]);
    let workspace = up.start(repo.path());

    let told = events_until(&owner, "\"phase\":\"running\"");

    assert!(told.contains("cache-control: no-store"), "{told}");
    assert!(told.contains("event: workspaces"), "{told}");
    assert!(told.contains(workspace.id()), "{told}");
    assert!(told.contains("\"stops_at\":\"2"), "{told}");
    assert!(!told.contains(workspace.token()), "owner token in {told}");
}

#[test]
fn progress_of_a_clone_is_told_as_it_comes() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let repo = repository(&[("file", "text")]);
    let mut events = Events::of(&owner);
    // From then on nothing is missed.
    events.read_until("event: workspaces");
    let form = json!({"repository": repo.path().to_str().unwrap()});
    assert_eq!(owner.post("/api/workspaces", &form).status(), 200);

    let told = events.read_until("\"step\":\"Receiving objects\"");

    assert!(told.contains("event: progress"), "{told}");
    events.read_until("\"percent\":100");
}

/// What the events say until `wanted` is among it.
fn events_until(visitor: &Visitor<'_>, wanted: &str) -> String {
    Events::of(visitor).read_until(wanted)
}

/// The page's events, as they come.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    fn of(visitor: &Visitor<'_>) -> Self {
        Self::at(visitor, "/api/events")
    }

    fn at(visitor: &Visitor<'_>, path: &str) -> Self {
        let mut stream = TcpStream::connect(visitor.up.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let cookie = visitor.cookie.as_deref().unwrap_or_default();
        let host = &visitor.host;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Self {
            stream,
            text: String::new(),
        }
    }

    /// All that was told, once `wanted` is among it.
    fn read_until(&mut self, wanted: &str) -> String {
        let mut bytes = [0; 4096];
        while !self.text.contains(wanted) {
            let count = self.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "ended: {}", self.text);
            self.text
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.text.clone()
    }
}

#[test]
fn signing_out_ends_what_the_browser_listens_to() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let yml = "tasks:\n  - command: echo hello; exec sleep 1000\n";
    let workspace = up.start(repository(&[(".gitpod.yml", yml)]).path());
    let logs = format!("/api/workspaces/{}/logs", workspace.id());
    let mut streams = [Events::of(&owner), Events::at(&owner, &logs)];
    streams[0].read_until("event: workspace");
    streams[1].read_until("hello");
    assert_eq!(owner.post("/api/sign-out", &json!({})).status(), 200);
    for mut stream in streams {
        stream.read_until("\r\n0\r\n\r\n"); // the end of its body
    }
}

#[test]
fn who_comes_from_another_page_is_asked_to_come_again_and_opens_nothing() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let open = format!("/open/{}", workspace.id());
    let from = |site| {
        [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ]
    };
    for site in ["cross-site", "same-site"] {
        for path in ["/", "/open/nonsense", &open] {
            let answer = owner.get(path, &from(site));
            assert_eq!(answer.status(), 200, "{path}");
            assert!(!answer.0.contains("location:"), "{}", answer.0);
            assert!(!answer.0.contains("/.gitpod/open?"), "{}", answer.0);
            // To the page by itself; into a workspace only by her own click.
            let goes_on = answer.body().contains("url=/\"") && answer.body().contains("again.js");
            assert_eq!(goes_on, path != open, "{}", answer.0);
            let asks = answer.body().contains(&format!("href=\"{open}\""));
            assert_eq!(asks, path == open, "{}", answer.0);
        }
    }
    for no_visit in [("Upgrade", "websocket"), ("Sec-Fetch-Mode", "cors")] {
        let answer = owner.get(&open, &[no_visit]);
        assert_eq!(answer.status(), 403, "{no_visit:?}");
        assert!(!answer.0.contains("location:"), "{}", answer.0);
    }
    let answer = owner.get(&open, &from("same-origin"));
    assert_eq!(answer.status(), 303);
    assert!(
        answer
            .0
            .contains(&format!("location: http://{}.ws.localhost", workspace.id()))
    );
    assert!(answer.0.contains("/.gitpod/open?"), "{}", answer.0);
}

#[test]
fn browser_without_the_cookie_of_this_run_is_told_the_way_in_and_it_leads_there() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let html = [("Accept", "text/html")];
    for (host, end, option) in [
        (workspace.ide_host(), String::new(), String::new()),
        (workspace.host(3000), "/3000".into(), " --port 3000".into()),
    ] {
        let denied = up.request(&host, "/", &html);
        assert_eq!(denied.status(), 401);
        let link = format!("{}open/{id}{end}\"", up.ready["page"].as_str().unwrap());
        assert!(denied.body().contains(&link), "{link} in {}", denied.0);
        let command = format!("gitpod open {id}{option}");
        for accept in ["text/html", "*/*", "application/problem+json"] {
            let told = up.request(&host, "/", &[("Accept", accept)]);
            assert!(told.body().contains(&command), "{}", told.0);
        }
    }
    let unknown = up.request("pink-panda-ns35kd21.ws.localhost", "/", &html);
    assert_eq!(unknown.status(), 404);
    assert!(!unknown.body().contains("/open/"), "{}", unknown.0);

    // Stopped, and nobody starts it by coming: there is a button on the page.
    assert!(up.run(&["wake", id, "never"]).status.success());
    assert!(up.run(&["stop", "--now", id]).status.success());
    let answer = owner.get(&format!("/open/{id}"), &[]);
    assert_eq!(answer.status(), 303);
    assert!(
        answer.0.contains(&format!("location: /#{id}")),
        "{}",
        answer.0
    );
}

#[test]
fn secrets_of_the_page_reach_no_log_and_no_event() {
    let up = Up::new();
    let link = invitation(&up);
    let secret = link.rsplit_once('=').unwrap().1.to_owned();
    let stranger = Visitor::stranger(&up);
    let answer = stranger.get(&link, &[]);
    let session = cookie(&answer);
    let session = session.split(['=', ';']).nth(1).unwrap();
    for text in [up.log(), up.ready.to_string(), format!("{:?}", up.events())] {
        assert!(!text.contains(&secret) && !text.contains(session));
    }
    let kept = std::fs::read_to_string(up.state_dir().join("page-sessions.json")).unwrap();
    assert!(!kept.contains(&secret) && !kept.contains(session));
}

#[test]
fn shared_port_opens_by_its_link_until_it_is_unshared() {
    let up = Up::new();
    let port = free_port();
    let yml = format!("tasks:\n  - command: exec python3 -m http.server {port}\n");
    let repo = repository(&[(".gitpod.yml", &yml), ("hello.txt", "hello\n")]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let port_text = port.to_string();
    let share = up.json(&[
        "share", id, "--port", &port_text, "--for", "1h", "-o", "json",
    ]);
    let url = share["url"].as_str().unwrap();
    assert!(
        share["expires_at"].as_str().unwrap().ends_with('Z'),
        "{share}"
    );

    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    let host = workspace.host(port);
    let visit = up.request(&host, &path, &[]);
    assert_eq!(visit.status(), 303, "{}", visit.0);
    let cookie = cookie(&visit).split(';').next().unwrap().to_owned();
    let with_cookie = [("Cookie", cookie.as_str())];
    assert_eq!(up.request(&host, "/hello.txt", &with_cookie).status(), 200);
    assert_eq!(
        up.request(&workspace.ide_host(), "/", &with_cookie)
            .status(),
        401
    );

    let share_id = share["share_id"].as_str().unwrap();
    assert_eq!(
        up.json(&["unshare", id, share_id, "-o", "json"])["ended"],
        1
    );
    assert_ne!(up.request(&host, "/hello.txt", &with_cookie).status(), 200);
    assert_eq!(up.request(&host, &path, &[]).status(), 403);
}
