//! Who comes to a stopped workspace has it started, and is answered by it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::harness::{
    PATIENCE, Response, Up, Workspace, free_port, gitpod, program, repository, skip, wait_until,
};
use crate::socket::Socket;

/// A repository whose only task serves `port`, after `before` was run.
fn streams(port: u16, before: &str, visibility: &str) -> tempfile::TempDir {
    let script = program("streams.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - name: web\n    command: |\n      {before}\n      exec python3 {} {port} $OPTIONS\nports:\n  - port: {port}\n    visibility: {visibility}\n",
        script.display()
    );
    repository(&[(".gitpod.yml", &yml)])
}

/// A workspace that has run and is stopped.
pub(crate) struct Asleep {
    pub(crate) up: Up,
    pub(crate) workspace: Workspace,
    pub(crate) port: u16,
}

impl Asleep {
    pub(crate) fn new(start: &[&str]) -> Self {
        Self::with(&[], start, ":", "private")
    }

    pub(crate) fn with(args: &[&str], start: &[&str], before: &str, visibility: &str) -> Self {
        let asleep = Self::awake(args, start, before, visibility);
        let stopped = asleep.up.run(&["stop", "--now", asleep.workspace.id()]);
        assert!(stopped.status.success(), "{}", asleep.up.log());
        asleep
    }

    fn awake(args: &[&str], start: &[&str], before: &str, visibility: &str) -> Self {
        let (up, port) = (Up::with(args), free_port());
        let repo = streams(port, before, visibility);
        let args = ["start", repo.path().to_str().unwrap(), "-o", "json"];
        let workspace = Workspace(up.json(&[&args, start].concat()));
        up.request_until(&workspace, port, |answer| answer.status() == 200);
        Self {
            up,
            workspace,
            port,
        }
    }

    /// How often it was run so far: each run has a folder of logs.
    fn runs(&self) -> usize {
        let logs = self.up.state_dir().join("workspaces");
        let logs = logs.join(self.workspace.id()).join("logs");
        std::fs::read_dir(logs).unwrap().count()
    }

    fn ask(&self, path: &str) -> Response {
        self.up.owner_request(&self.workspace, self.port, path)
    }

    /// What is sent by `method`, with these fields and this body.
    pub(crate) fn send(&self, method: &str, fields: &[(&str, &str)], body: &[u8]) -> Response {
        let host = self.workspace.host(self.port);
        let mut head = format!("{method} / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.up.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let _refused = stream.write_all(body);
        let mut text = Vec::new();
        let _reset = stream.read_to_end(&mut text);
        Response(String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) fn cookie(&self) -> String {
        let instance = self.workspace.0["instance_id"].as_str().unwrap();
        format!(
            "_ws_localhost_ws_{instance}_owner_={}",
            self.workspace.token()
        )
    }

    fn phase(&self) -> String {
        let phase = self.up.describe(self.workspace.id())["phase"].clone();
        phase.as_str().unwrap().to_owned()
    }

    /// Has it stopped, which takes as long as its task wants.
    fn begin_to_stop(&self) -> std::process::Child {
        let stopping = gitpod()
            .env("GITPOD_STATE_DIR", self.up.state_dir())
            .args(["stop", self.workspace.id()])
            .spawn();
        wait_until("it is stopping", || self.phase() == "stopping");
        stopping.unwrap()
    }
}

/// Does not end when it is asked to, until a file is there.
const UNWILLING: &str = "OPTIONS='--stay-until end'";

#[test]
fn attack_36_two_hundred_requests_at_once_start_it_once_and_are_all_answered() {
    let asleep = Asleep::new(&[]);
    assert_eq!(asleep.runs(), 1);
    let answers = std::thread::scope(|scope| {
        let asked = (0..200).map(|number| {
            let asleep = &asleep;
            scope.spawn(move || (number, asleep.ask(&format!("/number-{number}"))))
        });
        let asked: Vec<_> = asked.collect();
        asked
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    for (number, answer) in answers {
        assert_eq!(answer.status(), 200, "{number}: {}", answer.0);
        let expected = format!("GET /number-{number} 0 {}", asleep.workspace.id());
        assert_eq!(answer.body(), expected);
    }
    assert_eq!(asleep.runs(), 2);
    let started: BTreeSet<_> = asleep
        .up
        .events()
        .iter()
        .filter_map(|event| event["instance_id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(started.len(), 2, "{started:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_is_held_and_goes_on() {
    let asleep = Asleep::new(&[]);
    let mut socket = Socket::open(&asleep.up, &asleep.workspace, asleep.port, "/socket").await;
    assert_eq!(socket.echo("hello").await, "hello");
    assert_eq!(asleep.runs(), 2);
}

#[test]
fn body_is_kept_while_its_request_is_held_and_a_long_one_is_refused() {
    let asleep = Asleep::new(&[]);
    let token = ("x-gitpod-owner-token", asleep.workspace.token());
    let long = ("content-length", "1048577");
    let refused = asleep.send("POST", &[token, long], b"");
    assert_eq!(refused.status(), 413, "{}", refused.0);
    assert!(refused.0.contains("Open it first"), "{}", refused.0);
    assert_eq!(asleep.runs(), 1);

    let body = vec![b'x'; 1 << 20];
    let answer = asleep.send("POST", &[token, ("content-length", "1048576")], &body);
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert!(answer.body().starts_with("POST / 1048576 "), "{}", answer.0);
    assert_eq!(asleep.runs(), 2);
}

#[test]
fn port_whose_program_takes_its_time_is_waited_for() {
    let asleep = Asleep::with(
        &[],
        &[],
        "test -e slow && OPTIONS='--after 2' || touch slow",
        "private",
    );
    let answer = asleep.ask("/");
    assert_eq!(answer.status(), 200, "{}", answer.0);
}

#[test]
fn nobody_waits_longer_than_the_deadline_nor_in_a_full_queue() {
    let args = ["--hold-for", "2s", "--hold-requests", "3"];
    let asleep = Asleep::awake(&args, &[], UNWILLING, "private");
    let mut stopping = asleep.begin_to_stop();
    let token = ("x-gitpod-owner-token", asleep.workspace.token());
    let fields = [token, ("accept", "application/json")];
    let ask = || asleep.send("GET", &fields, b"");
    let mut said: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let asked = asked.into_iter().map(|one| one.join().unwrap());
        asked
            .map(|answer| {
                assert_eq!(answer.status(), 503, "{}", answer.0);
                let problem: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
                problem["reason"].as_str().unwrap().to_owned()
            })
            .collect()
    });
    said.sort();
    let late = "wake-timeout";
    assert_eq!(said, ["wake-queue-full", late, late, late]);

    assert!(
        asleep
            .up
            .run(&["stop", "--now", asleep.workspace.id()])
            .status
            .success()
    );
    assert!(stopping.wait().unwrap().success());
    assert_eq!(asleep.runs(), 1);
}

#[test]
fn attack_49_workspace_that_is_stopping_has_to_stop_and_is_started_anew() {
    let asleep = Asleep::awake(&[], &[], UNWILLING, "private");
    let content = asleep.up.describe(asleep.workspace.id())["content"]["path"].clone();
    let mut stopping = asleep.begin_to_stop();
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| asleep.ask("/again"));
        std::fs::write(Path::new(content.as_str().unwrap()).join("end"), "").unwrap();
        asked.join().unwrap()
    });
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert!(stopping.wait().unwrap().success());
    assert_eq!(asleep.runs(), 2);
}

#[test]
fn workspace_that_is_never_to_be_woken_is_not() {
    let asleep = Asleep::new(&["--wake", "never"]);
    assert_eq!(asleep.workspace.0["wake"], "never");
    let answer = asleep.ask("/");
    assert_eq!(answer.status(), 503, "{}", answer.0);
    assert!(answer.0.contains("not running"), "{}", answer.0);
    assert_eq!(asleep.runs(), 1);

    // It is kept, and can be changed.
    let Asleep {
        up,
        workspace,
        port,
    } = asleep;
    let up = Up::at(up.stop(), &[]);
    assert_eq!(up.json(&["list", "-o", "json"])[0]["wake"], "never");
    assert_eq!(up.owner_request(&workspace, port, "/").status(), 503);
    assert!(up.run(&["wake", workspace.id(), "owner"]).status.success());
    assert_eq!(up.describe(workspace.id())["wake"], "owner");
    let answer = up.owner_request(&workspace, port, "/");
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert_eq!(
        up.run(&["wake", "grey-wolf-ns35kd21", "owner"])
            .status
            .code(),
        Some(3)
    );
    assert_eq!(
        up.run(&["wake", workspace.id(), "all"]).status.code(),
        Some(2)
    );
}

#[test]
fn attack_33_stranger_prefetch_crawler_and_foreign_page_start_nothing() {
    let asleep = Asleep::with(&[], &[], ":", "public");
    let cookie = asleep.cookie();
    let cookie = ("cookie", cookie.as_str());
    let navigate = ("sec-fetch-mode", "navigate");
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("x-gitpod-owner-token", "guessed")],
        &[cookie, ("sec-purpose", "prefetch;prerender")],
        &[cookie, ("user-agent", "Examplebot/1.0")],
        &[cookie, ("origin", "http://evil.test")],
        &[
            cookie,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors"),
        ],
        &[
            cookie,
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
        ],
        &[
            cookie,
            ("sec-fetch-site", "cross-site"),
            navigate,
            ("sec-fetch-dest", "iframe"),
        ],
    ];
    for fields in cases {
        let answer = asleep.send("GET", fields, b"");
        assert!(
            [503, 403].contains(&answer.status()),
            "{fields:?}: {}",
            answer.0
        );
    }
    assert_eq!(asleep.phase(), "stopped");
    assert_eq!(asleep.runs(), 1);
    // The same cookie opens the door for whoever comes herself.
    assert_eq!(asleep.send("GET", &[cookie], b"").status(), 200);
    assert_eq!(asleep.runs(), 2);
}

#[test]
fn guest_of_a_public_port_starts_what_is_for_anyone_even_after_a_restart_of_up() {
    let asleep = Asleep::with(&[], &["--wake", "anyone"], ":", "public");
    let Asleep {
        up,
        workspace,
        port,
    } = asleep;
    let up = Up::at(up.stop(), &[]);
    let answer = up.request(&workspace.host(port), "/", &[]);
    assert_eq!(answer.status(), 200, "{}", answer.0);
    // What is private is not.
    assert!(up.run(&["stop", "--now", workspace.id()]).status.success());
    assert_eq!(up.request(&workspace.host(1), "/", &[]).status(), 401);
    assert_eq!(up.describe(workspace.id())["phase"], "stopped");
}

/// The first cookie that an answer sets, as browsers send it back.
fn cookie_in(answer: &Response) -> Option<&str> {
    let mut lines = answer.0.lines();
    let line = lines.find_map(|line| line.strip_prefix("set-cookie: "))?;
    line.split(';').next()
}

#[test]
fn link_of_a_stopped_workspace_signs_in_and_starts_it() {
    let asleep = Asleep::new(&[]);
    let (id, port) = (asleep.workspace.id(), asleep.port.to_string());
    let link = || {
        asleep
            .up
            .run(&["open", id, "--port", &port, "--no-browser"])
    };
    let url = String::from_utf8(link().stdout).unwrap();
    let path = format!("/{}", url.trim().splitn(4, '/').nth(3).unwrap());
    let host = asleep.workspace.host(asleep.port);
    let first = asleep.up.request(&host, &path, &[]);
    assert_eq!(first.status(), 303, "{}", first.0);
    let cookie = cookie_in(&first).unwrap();
    assert_eq!(asleep.runs(), 1);
    let answer = asleep.up.request(&host, "/", &[("cookie", cookie)]);
    assert_eq!(answer.status(), 200, "{}", answer.0);
    // The held request brings the cookie of the new run with it; who asked beside it gets it, too.
    let new = cookie_in(&answer).expect("of the new run").to_owned();
    assert_ne!(new, cookie);
    let answer = asleep.up.request(&host, "/", &[("cookie", cookie)]);
    assert_eq!(cookie_in(&answer), Some(new.as_str()), "{}", answer.0);
    let answer = asleep.up.request(&host, "/", &[("cookie", &new)]);
    assert_eq!((answer.status(), cookie_in(&answer)), (200, None));

    assert!(asleep.up.run(&["wake", id, "never"]).status.success());
    assert!(asleep.up.run(&["stop", "--now", id]).status.success());
    assert_eq!(link().status.code(), Some(1));
}

#[test]
fn start_that_fails_is_told_in_the_language_of_who_asked() {
    let asleep = Asleep::new(&[]);
    let content = asleep.up.describe(asleep.workspace.id())["content"]["path"].clone();
    // Neither its files nor what they came from are there any more.
    std::fs::remove_dir_all(content.as_str().unwrap()).unwrap();
    let token = ("x-gitpod-owner-token", asleep.workspace.token());
    for (kind, said) in [
        ("application/json", r#""reason":"wake-failed""#),
        ("text/html", "<h1>Workspace did not start</h1>"),
        ("*/*", "Workspace did not start\n"),
    ] {
        let answer = asleep.send("GET", &[token, ("accept", kind)], b"");
        assert_eq!(answer.status(), 503, "{}", answer.0);
        assert!(answer.0.contains(said), "{}", answer.0);
    }
}

#[test]
fn end_of_up_starts_nothing_for_those_who_wait() {
    let asleep = Asleep::awake(&[], &[], UNWILLING, "private");
    let mut stopping = asleep.begin_to_stop();
    let Asleep {
        up,
        workspace,
        port,
    } = asleep;
    let mut stream = TcpStream::connect(up.address()).unwrap();
    let (host, token) = (workspace.host(port), workspace.token());
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nx-gitpod-owner-token: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let up = Up::at(up.stop(), &[]);
    let _ = stopping.wait();
    assert_eq!(up.describe(workspace.id())["phase"], "stopped");
    let logs = up.state_dir().join("workspaces").join(workspace.id());
    assert_eq!(std::fs::read_dir(logs.join("logs")).unwrap().count(), 1);
}

#[test]
fn browser_sees_a_page_that_follows_with_and_without_scripts() {
    let Some(_) = std::env::var_os("GITPOD_TEST_NODE_MODULES") else {
        return skip("this machine is not set up for tests with a browser");
    };
    let before = "test -e slow && OPTIONS='--after 3' || touch slow";
    let asleep = Asleep::awake(&[], &[], before, "private");
    let output = Command::new("python3")
        .arg(program("wake_browser.py"))
        .env("GITPOD_STATE_DIR", asleep.up.state_dir())
        .arg("--gitpod")
        .arg(gitpod().get_program())
        .args(["--workspace", asleep.workspace.id()])
        .args(["--port", &asleep.port.to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\nup: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        asleep.up.log()
    );
}

/// Not a promise but a measurement: what waking adds to what the workspace's own program
/// takes until it listens.
#[test]
#[ignore = "a measurement: docs/wake.md says how to run it"]
fn measure_wake_to_first_byte() {
    // Each run has a token of its own, which a guest does not need.
    let asleep = Asleep::with(&[], &["--wake", "anyone"], ":", "public");
    let host = asleep.workspace.host(asleep.port);
    let id = asleep.workspace.id();
    let (mut all, mut added) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let begin = Instant::now();
        assert_eq!(asleep.up.request(&host, "/", &[]).status(), 200);
        let took = begin.elapsed().as_millis();
        let log = String::from_utf8(asleep.up.run(&["logs", id]).stdout).unwrap();
        let program = log.split(" after ").nth(1).unwrap();
        let program: u128 = program.split(' ').next().unwrap().parse().unwrap();
        all.push(took);
        added.push(took.saturating_sub(program));
        assert!(asleep.up.run(&["stop", "--now", id]).status.success());
    }
    for (what, mut times) in [
        ("wake to first byte", all),
        ("beyond the program's own start", added),
    ] {
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 100];
        eprintln!(
            "{what}, ms: median {}, p90 {}, all {times:?}",
            at(50),
            at(90)
        );
    }
}
