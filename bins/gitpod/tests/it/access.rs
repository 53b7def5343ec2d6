//! Commands about who may use workspaces, and about the program itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{PATIENCE, Up, free_port, gitpod, program, repository, text, wait_until};
use crate::page_visitor::cookie;

#[test]
fn open_prints_a_link_that_signs_in_once() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let url = up.json(&["open", workspace.id(), "-o", "json"])["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        url.starts_with(workspace.0["url"].as_str().unwrap()),
        "{url}"
    );
    assert!(!url.contains(workspace.token()), "no lasting secret");
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    let host = workspace.ide_host();

    assert_eq!(up.request(&host, "/", &[]).status(), 401);
    let first = up.request(&host, &path, &[]);
    assert_eq!(first.status(), 303, "{}", first.0);
    let cookie = first
        .0
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(up.request(&host, "/", &[("Cookie", cookie)]).status(), 200);
    let used = up.request(&host, &path, &[("Accept", "text/html")]);
    assert_eq!(used.status(), 403, "{}", used.0);
    // Which leads on to where another one is made.
    let way = format!(
        "href=\"{}open/{}\"",
        up.ready["page"].as_str().unwrap(),
        workspace.id()
    );
    assert!(used.0.contains("Link was used before"), "{}", used.0);
    assert!(used.0.contains(&way), "no {way} in {}", used.0);

    let plain = up.run(&["open", workspace.id(), "--port", "3000", "--no-browser"]);
    assert!(text(&plain).starts_with("http://3000-"), "{}", text(&plain));
}

#[test]
fn browser_is_not_told_the_link_among_its_arguments() {
    let up = Up::new();
    let dir = tempfile::tempdir().unwrap();
    let browser = dir.path().join("browser");
    let told = dir.path().join("told");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}.new; cat \"$1\" >> {0}.new; mv {0}.new {0}\n",
        told.display()
    );
    std::fs::write(&browser, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&browser, mode).unwrap();
    let output = gitpod()
        .args(["open"])
        .env("GITPOD_STATE_DIR", up.state_dir())
        .env("BROWSER", &browser)
        .output()
        .unwrap();
    let url = text(&output).trim().to_owned();
    wait_until("the browser is started", || told.exists());
    let told = std::fs::read_to_string(told).unwrap();
    let (arguments, file) = told.split_once('\n').unwrap();
    assert!(!arguments.contains("once="), "{arguments}");
    assert!(file.contains(&url), "{file}");
}

#[test]
fn what_changes_something_tells_scripts_what_it_did() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    for (command, told) in [
        (
            &["timeout", id, "2d"][..],
            json!({"id": id, "timeout": "48h0m0s"}),
        ),
        (&["wake", id, "never"], json!({"id": id, "wake": "never"})),
        (
            &["stop", id, "--now"],
            json!({"id": id, "phase": "stopped"}),
        ),
        (&["delete", id], json!({"id": id, "deleted": true})),
    ] {
        let command = [command, &["-o", "json"]].concat();
        assert_eq!(up.json(&command), told, "{command:?}");
    }
}

#[test]
fn browser_that_does_not_start_is_not_said_to_be_open() {
    let up = Up::new();
    for (program, why) in [
        ("false", "exit status: 1"),
        ("/nowhere/browser", "cannot be started"),
    ] {
        let output = gitpod()
            .args(["open"])
            .env("GITPOD_STATE_DIR", up.state_dir())
            .env("BROWSER", program)
            .output()
            .unwrap();
        assert!(output.status.success(), "the link is printed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("opened in your browser"), "{said}");
        assert!(said.contains(why) && said.contains("by hand"), "{said}");
    }
}

#[test]
fn ports_are_shown_and_opened_to_everybody() {
    let up = Up::new();
    let yml = "ports:\n  - port: 3000\n    name: shop\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let shown = up.json(&["ports", id, "-o", "json"]);
    assert_eq!(shown[0]["port"], 3000);
    assert_eq!(shown[0]["visibility"], "private");
    assert_eq!(shown[0]["served"], false);

    let set = up.json(&[
        "ports",
        id,
        "--set",
        "3000=public",
        "--set",
        "4000=public",
        "-o",
        "json",
    ]);
    assert_eq!(set[0]["visibility"], "public");
    assert_eq!(set[0]["name"], "shop");
    // Nobody listens, which everybody is told now.
    wait_until("both are public", || {
        [3000, 4000]
            .iter()
            .all(|port| up.request(&workspace.host(*port), "/", &[]).status() == 404)
    });
    assert!(
        up.run(&["ports", id, "--set", "3000=private"])
            .status
            .success()
    );
    wait_until("one is private again", || {
        up.request(&workspace.host(3000), "/", &[]).status() == 401
    });
    for wrong in ["3000", "0=public", "3000=open"] {
        assert_eq!(
            up.run(&["ports", id, "--set", wrong]).status.code(),
            Some(2),
            "{wrong}"
        );
    }
}

#[test]
fn whether_somebody_listens_is_told_everywhere_and_as_an_event() {
    let up = Up::new();
    let port = free_port();
    let yml = format!(
        "tasks:\n  - command: until [ -e go ]; do sleep 0.1; done; exec python3 -m http.server {port}\nports:\n  - port: {port}\n"
    );
    let repo = repository(&[(".gitpod.yml", &yml)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let listed = up.json(&["list", "-o", "json"]);
    assert_eq!(listed[0]["ports"][0]["served"], false, "{listed}");

    let files = up.describe(id)["content"]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::write(std::path::Path::new(&files).join("go"), "").unwrap();

    wait_until("an event says that it is served", || {
        up.events()
            .iter()
            .any(|event| event["event"] == "workspace" && event["ports"][0]["served"] == true)
    });
    let listed = up.json(&["list", "-o", "json"]);
    assert_eq!(listed[0]["ports"], up.describe(id)["ports"]);
    assert_eq!(listed[0]["ports"], up.json(&["ports", id, "-o", "json"]));
    assert_eq!(listed[0]["ports"][0]["served"], true, "{listed}");
}

#[test]
fn timeout_changes_when_a_run_stops() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let before = up.describe(id)["stops_at"].as_str().unwrap().to_owned();
    assert!(up.run(&["timeout", id, "2h"]).status.success());
    wait_until("it stops later", || {
        up.describe(id)["stops_at"].as_str().unwrap() > before.as_str()
    });
    assert_eq!(up.run(&["timeout", id, "0"]).status.code(), Some(2));
}

#[test]
fn ports_and_timeout_are_the_workspaces_and_hold_for_its_next_runs() {
    let up = Up::new();
    let yml = "ports:\n  - port: 3000\n    name: shop\n  - port: 5000\n    visibility: public\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    assert!(
        up.run(&["ports", id, "--set", "3000=public", "--set", "5000=private"])
            .status
            .success()
    );
    assert!(up.run(&["stop", id]).status.success());
    // Both also while it does not run.
    let set = up.json(&["ports", id, "--set", "4000=public", "-o", "json"]);
    assert_eq!(set[1]["port"], 4000, "{set}");
    assert_eq!(up.json(&["ports", id, "-o", "json"]), set);
    assert!(up.run(&["timeout", id, "5h"]).status.success());
    assert_eq!(up.run(&["timeout", id, "0"]).status.code(), Some(2));

    let up = Up::at(up.stop(), &[]);
    up.json(&["start", id, "-o", "json"]);

    let told = up.describe(id);
    let seen = |index: usize, field: &str| told["ports"][index][field].clone();
    assert_eq!(
        (seen(0, "visibility"), seen(0, "name")),
        ("public".into(), "shop".into())
    );
    assert_eq!(
        (seen(1, "port"), seen(1, "visibility")),
        (4000.into(), "public".into())
    );
    assert_eq!(
        (seen(2, "port"), seen(2, "visibility")),
        (5000.into(), "private".into())
    );
    let now = jiff::Timestamp::now();
    let stops_at: jiff::Timestamp = told["stops_at"].as_str().unwrap().parse().unwrap();
    assert!(
        stops_at > now + jiff::SignedDuration::from_hours(4),
        "{stops_at}"
    );
    // Said of one that runs already, it holds as well.
    up.json(&["start", id, "--timeout", "6h", "-o", "json"]);
    assert_eq!(up.describe(id)["timeout"], "6h");
    // Nobody listens, which everybody is told of a public port, and nobody of a private one.
    let status = |port| up.request(&workspace.host(port), "/", &[]).status();
    assert_eq!((status(3000), status(4000), status(5000)), (404, 404, 401));
}

#[test]
fn shares_are_listed_and_outlive_up_and_the_stop_of_the_workspace() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let share = up.json(&["share", id, "--for", "1h", "-o", "json"]);
    assert!(up.run(&["stop", id]).status.success());
    let up = Up::at(up.stop(), &[]);
    let listed = up.json(&["share", id, "--list", "-o", "json"]);
    assert_eq!(listed[0]["share_id"], share["share_id"]);
    assert!(up.run(&["unshare", id]).status.success());
    assert_eq!(
        up.json(&["share", id, "--list", "-o", "json"]),
        serde_json::json!([])
    );

    let unknown = up.run(&["unshare", id, "00000000000000000000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("fix:"));
    assert!(up.run(&["share", id]).status.success());
    assert!(up.run(&["delete", id]).status.success());
    let kept = std::fs::read_to_string(up.state_dir().join("shares.json")).unwrap();
    assert_eq!(kept, "[]", "of a deleted workspace nothing is shared");
}

/// A second, as promised, and time for a busy machine to start programs.
const AT_ONCE: Duration = Duration::from_secs(4);

#[test]
fn attack_35_delete_revokes_shares_and_cuts_off_their_visitors_at_once() {
    let up = Up::new();
    let port = free_port();
    let script = program("upgrade_echo.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: exec python3 {} {port}\n",
        script.display()
    );
    let repo = repository(&[(".gitpod.yml", &yml)]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, port, |answer| answer.status() == 426);
    let share = up.json(&["share", workspace.id(), "-o", "json"]);
    let url = share["url"].as_str().unwrap();
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    let visit = up.request(&workspace.ide_host(), &path, &[]);
    let mut stream = upgraded(
        &up,
        &workspace.host(port),
        cookie(&visit).split(';').next().unwrap(),
    );

    let begin = Instant::now();
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| up.run(&["delete", workspace.id()]));
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest); // or it is reset
        assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
        assert!(deleting.join().unwrap().status.success());
    });
    let kept = std::fs::read_to_string(up.state_dir().join("shares.json")).unwrap();
    assert_eq!(kept, "[]");
    assert_eq!(up.request(&workspace.ide_host(), &path, &[]).status(), 404);
}

/// A stream to upgrade_echo.py at `host` that is open, as a visitor with `cookie` has it.
fn upgraded(up: &Up, host: &str, cookie: &str) -> TcpStream {
    let port = up.address().rsplit_once(':').unwrap().1;
    let mut stream = TcpStream::connect(up.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n\
         Connection: Upgrade\r\nUpgrade: echo\r\nCookie: {cookie}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    assert!(
        text.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&text)
    );
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
    stream
}

#[test]
fn unknown_workspaces_exit_with_3() {
    let up = Up::new();
    let id = "pink-panda-ns35kd21";
    for args in [
        &["open", id][..],
        &["ports", id],
        &["ports", id, "--set", "3000=public"],
        &["share", id],
        &["share", id, "--list"],
        &["unshare", id],
        &["timeout", id, "2h"],
    ] {
        assert_eq!(up.run(args).status.code(), Some(3), "{args:?}");
    }
}
