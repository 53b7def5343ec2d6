//! Whoever waits for something while `up` is replaced goes on waiting: held requests, and commands.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::harness::{
    PATIENCE, Response, Up, Workspace, free_port, gitpod, program, repository, wait_until,
};

/// A workspace that serves `port`, and does not end before there is a file `end`.
fn unwilling(up: &Up, port: u16) -> Workspace {
    let script = program("streams.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: exec python3 {} {port} --stay-until end\n",
        script.display()
    );
    let workspace = up.start(repository(&[(".gitpod.yml", &yml)]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    workspace
}

fn content(up: &Up, workspace: &Workspace) -> PathBuf {
    let path = up.describe(workspace.id())["content"]["path"].clone();
    path.as_str().unwrap().into()
}

fn background(up: &Up, args: &[&str]) -> Child {
    let mut command: Command = gitpod();
    command
        .env("GITPOD_STATE_DIR", up.state_dir())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What a command prints that must succeed.
fn succeeds(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn phase(up: &Up, workspace: &Workspace) -> String {
    let phase = up.describe(workspace.id())["phase"].clone();
    phase.as_str().unwrap().to_owned()
}

/// How many requests `up` holds.
fn held(up: &Up) -> usize {
    let mut stream = UnixStream::connect(up.state_dir().join("metrics.sock")).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: up\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    let held = told
        .lines()
        .find_map(|line| line.strip_prefix("gitpod_ws_proxy_held_requests "));
    held.map_or(0, |held| held.parse().unwrap())
}

/// A request of the owner, which is held by `up` when this returns.
fn held_request(up: &Up, workspace: &Workspace, port: u16) -> JoinHandle<Response> {
    let head = format!(
        "GET /held HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\nx-gitpod-owner-token: {}\r\n\r\n",
        workspace.host(port),
        workspace.token(),
    );
    let mut stream = TcpStream::connect(up.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    wait_until("it is held", || held(up) == 1);
    std::thread::spawn(move || {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("cut");
        Response(String::from_utf8_lossy(&text).into_owned())
    })
}

#[test]
fn request_that_is_held_is_answered_by_a_run_that_the_successor_starts() {
    let mut up = Up::with(&["--drain", "60s"]);
    let port = free_port();
    let workspace = unwilling(&up, port);
    let end = content(&up, &workspace).join("end");
    let stopping = background(&up, &["stop", workspace.id()]);
    wait_until("it is stopping", || phase(&up, &workspace) == "stopping");
    let asked = held_request(&up, &workspace, port);
    let first = up.replaced_by(&mut gitpod(), &["--drain", "60s"]);
    let second = up.replaced_by(&mut gitpod(), &[]);
    assert!(!asked.is_finished(), "{}", asked.join().unwrap().0);
    std::fs::write(&end, "").unwrap();
    let answer = asked.join().unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert!(answer.body().contains("/held"), "{}", answer.0);
    succeeds(stopping);
    let now = up.describe(workspace.id());
    assert_eq!(now["phase"], "running");
    assert_ne!(now["instance_id"], workspace.0["instance_id"]);
    first.finished();
    second.finished();
}

#[test]
fn request_that_is_held_for_longer_than_there_is_time_is_answered_all_the_same() {
    let mut up = Up::with(&["--drain", "1s"]);
    let port = free_port();
    let workspace = unwilling(&up, port);
    let stopping = background(&up, &["stop", workspace.id()]);
    wait_until("it is stopping", || phase(&up, &workspace) == "stopping");
    let asked = held_request(&up, &workspace, port);
    let before = up.replaced_by(&mut gitpod(), &[]);
    let answer = asked.join().unwrap();
    assert_eq!(answer.status(), 503, "{}", answer.0);
    assert!(answer.body().contains("wake-timeout"), "{}", answer.0);
    before.finished();
    let now = up.run(&["stop", "--now", workspace.id()]);
    assert!(now.status.success());
    succeeds(stopping);
}

#[test]
fn request_that_waits_for_a_port_is_told_when_there_is_no_time_left() {
    let mut up = Up::with(&["--drain", "1s"]);
    let yml = "tasks:\n  - command: exec sleep 1000\n";
    let workspace = up.start(repository(&[(".gitpod.yml", yml)]).path());
    assert!(up.run(&["stop", "--now", workspace.id()]).status.success());
    let asked = held_request(&up, &workspace, free_port());
    wait_until("it runs", || phase(&up, &workspace) == "running");
    let before = up.replaced_by(&mut gitpod(), &[]);
    let answer = asked.join().unwrap();
    assert!([404, 503].contains(&answer.status()), "{}", answer.0);
    before.finished();
}

/// A server of repositories that keeps everybody waiting at first.
struct Gate {
    port: u16,
    waiting: Arc<AtomicUsize>,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn before(repository: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self {
            port: listener.local_addr().unwrap().port(),
            waiting: Arc::default(),
            open: Arc::default(),
        };
        let (waiting, open) = (Arc::clone(&gate.waiting), Arc::clone(&gate.open));
        let repository = repository.to_owned();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if open.load(Ordering::Acquire) {
                    serve(&repository, stream);
                } else {
                    waiting.fetch_add(1, Ordering::AcqRel);
                    kept.push(stream);
                }
            }
        });
        gate
    }

    fn url(&self) -> String {
        format!("git://127.0.0.1:{}/", self.port)
    }
}

fn serve(repository: &Path, stream: TcpStream) {
    let input = OwnedFd::from(stream.try_clone().unwrap());
    let mut git = Command::new("git")
        .args(["daemon", "--inetd", "--export-all"])
        .arg(format!("--base-path={}", repository.display()))
        .stdin(input)
        .stdout(OwnedFd::from(stream))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::spawn(move || git.wait());
}

/// Lines of `gitpod logs -f`, each with the next number.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    next: usize,
}

impl Following {
    fn new(up: &Up, workspace: &Workspace) -> Self {
        let mut child = background(up, &["logs", "-f", workspace.id()]);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            next: 0,
        }
    }

    fn read(&mut self, lines: usize) {
        for line in self.lines.by_ref().take(lines) {
            assert_eq!(line.unwrap(), format!("line {}", self.next));
            self.next += 1;
        }
    }
}

const COUNTS: &str = "tasks:\n  - command: |\n      i=0\n      while :; do echo line $i; i=$((i + 1)); sleep 0.02; done\n";

#[test]
fn commands_that_wait_go_on_with_the_successor_as_if_nothing_had_happened() {
    let mut up = Up::new();
    let counting = up.start(repository(&[(".gitpod.yml", COUNTS)]).path());
    let mut logs = Following::new(&up, &counting);
    logs.read(20);
    let repo = repository(&[("file", "text")]);
    let gate = Gate::before(repo.path());
    let starting = background(&up, &["start", &gate.url(), "-o", "json"]);
    wait_until("it clones", || gate.waiting.load(Ordering::Acquire) == 1);
    let port = free_port();
    let stays = unwilling(&up, port);
    let gone = unwilling(&up, free_port());
    let end = content(&up, &stays).join("end");
    let stopping = background(&up, &["stop", stays.id()]);
    // Which a successor does not leave half done.
    let deleting = background(&up, &["delete", gone.id()]);
    for workspace in [&stays, &gone] {
        wait_until("it is stopping", || phase(&up, workspace) == "stopping");
    }

    for round in 1..=2 {
        let before = up.replaced_by(&mut gitpod(), &[]);
        logs.read(20);
        wait_until("it clones again", || {
            gate.waiting.load(Ordering::Acquire) > round
        });
        before.finished();
    }
    gate.open.store(true, Ordering::Release);
    let third = up.replaced_by(&mut gitpod(), &[]);
    let started: Value = serde_json::from_str(&succeeds(starting)).unwrap();
    assert_eq!(started["phase"], "running");
    std::fs::write(end, "").unwrap();
    succeeds(stopping);
    succeeds(deleting);
    let list = up.json(&["list", "-o", "json"]);
    let mut phases: Vec<_> = list.as_array().unwrap().iter().collect();
    phases.sort_by_key(|it| it["phase"].to_string());
    assert_eq!(phases.len(), 3, "one of each: {list}");
    assert_eq!(phases[2]["id"], stays.0["id"]);

    logs.read(20);
    assert!(up.run(&["stop", "--now", counting.id()]).status.success());
    logs.read(usize::MAX);
    assert!(logs.child.wait().unwrap().success());
    let log = up.run(&["logs", counting.id()]);
    assert_eq!(
        String::from_utf8(log.stdout).unwrap().lines().count(),
        logs.next
    );
    third.finished();
}

#[test]
fn commands_that_wait_say_so_when_nobody_comes_next() {
    let up = Up::new();
    let counting = up.start(repository(&[(".gitpod.yml", COUNTS)]).path());
    let mut logs = Following::new(&up, &counting);
    logs.read(5);
    let dir = up.kill();
    logs.read(usize::MAX);
    let mut said = String::new();
    let stderr = logs.child.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(logs.child.wait().unwrap().code(), Some(5), "{said}");
    drop(Up::at(dir, &[]));
}
