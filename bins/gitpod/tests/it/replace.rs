//! `gitpod up --replace`: one process after the other, and nobody notices.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{PATIENCE, Up, Workspace, free_port, gitpod, program, repository, wait_until};
use crate::socket::Socket;
use crate::ssh_harness::{Background, Login};

fn streams(port: u16) -> String {
    let script = program("streams.py").canonicalize().unwrap();
    format!(
        "tasks:\n  - command: exec python3 {} {port}\n",
        script.display()
    )
}

/// Somebody who asks all the time: each time on a new connection, or on one for as long as it
/// is not closed with an answer.
struct Asking {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Asking {
    fn begin(up: &Up, workspace: &Workspace, port: u16, keeps: bool) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (end, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let address = up.address().to_owned();
        let head = format!(
            "GET / HTTP/1.1\r\nhost: {}\r\nx-gitpod-owner-token: {}\r\n{}\r\n",
            workspace.host(port),
            workspace.token(),
            if keeps { "" } else { "connection: close\r\n" },
        );
        let thread = std::thread::spawn(move || {
            let mut open = None;
            while !end.load(Ordering::Acquire) {
                let mut stream = open.take().unwrap_or_else(|| {
                    let stream = TcpStream::connect(&address).expect("refused");
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    BufReader::new(stream)
                });
                stream.get_mut().write_all(head.as_bytes()).expect("cut");
                let is_last = read_answer(&mut stream);
                count.fetch_add(1, Ordering::AcqRel);
                if keeps && !is_last {
                    open = Some(stream);
                }
            }
        });
        Self {
            stop,
            answered,
            thread,
        }
    }

    /// Waits for some more answers.
    fn wait_for_more(&self) {
        let so_far = self.answered.load(Ordering::Acquire);
        wait_until("more answers", || {
            self.thread.is_finished() || self.answered.load(Ordering::Acquire) > so_far + 5
        });
        assert!(
            !self.thread.is_finished(),
            "somebody was refused or cut off"
        );
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap();
    }
}

/// Reads one answer, which must be a good one. Tells whether the connection ends with it.
fn read_answer(stream: &mut BufReader<TcpStream>) -> bool {
    let (mut head, mut length, mut is_last) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        assert!(
            stream.read_line(&mut line).expect("cut") > 0,
            "cut after {head:?}"
        );
        let field = line.trim_end().to_ascii_lowercase();
        head.push_str(&line);
        if let Some(value) = field.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        is_last |= field == "connection: close";
        if field.is_empty() {
            break;
        }
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("cut");
    is_last
}

/// A shell's `cat` over SSH.
struct Session {
    child: Background,
    out: BufReader<std::process::ChildStdout>,
}

impl Session {
    fn open(login: &Login) -> Self {
        let mut child = login.background(&["ws", "cat"]);
        let out = BufReader::new(child.0.stdout.take().unwrap());
        Self { child, out }
    }

    fn echo(&mut self, text: &str) -> String {
        let input = self.child.0.stdin.as_mut().unwrap();
        writeln!(input, "{text}").unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn gitpod_of(login: &Login) -> std::process::Command {
    let mut command = gitpod();
    command.env("HOME", login.home.path());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_54_three_successors_and_no_request_refused_nor_socket_nor_session_cut() {
    let port = free_port();
    let drain = ["--drain", "60s"];
    let Some(mut login) = Login::with(&drain, &[(".gitpod.yml", &streams(port))]) else {
        return;
    };
    let workspace = Workspace(login.workspace.0.clone());
    login
        .up
        .request_until(&workspace, port, |answer| answer.status() == 200);
    let run = login.up.describe(workspace.id())["instance_id"].clone();
    let address = login.up.address().to_owned();
    let asking = [true, false].map(|keeps| Asking::begin(&login.up, &workspace, port, keeps));
    let mut socket = Socket::open(&login.up, &workspace, port, "/socket").await;
    let mut session = Session::open(&login);
    assert_eq!(session.echo("before"), "before");

    let mut finishing = Vec::new();
    for round in ["one", "two", "three"] {
        let mut gitpod = gitpod_of(&login);
        let before = login.up.replaced_by(&mut gitpod, &drain);
        assert_eq!(login.up.address(), address);
        let pid = login.up.ready["pid"].clone();
        wait_until("it tells", || {
            before
                .events()
                .contains(&json!({"event": "replaced", "by": pid}))
        });
        finishing.push(before);
        asking.iter().for_each(Asking::wait_for_more);
        assert_eq!(socket.echo(round).await, round);
        assert_eq!(session.echo(round), round);
        let now = login.up.describe(workspace.id());
        assert_eq!(
            (&now["phase"], &now["instance_id"]),
            (&json!("running"), &run)
        );
        assert_eq!(login.run("echo $((20 + 22))"), "42\n", "new sessions");
    }
    asking.into_iter().for_each(Asking::end);
    socket.0.close(None).await.unwrap();
    drop((socket, session));
    finishing.into_iter().for_each(Up::finished); // with nobody left
    let stops = |event: &serde_json::Value| event["phase"] == "stopped";
    assert!(!login.up.events().iter().any(stops));
    let asked = login.up.request(&workspace.host(port), "/", &[]);
    assert_eq!(asked.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_one_before_has_kept_ends_when_its_right_does_and_counts_as_use() {
    let mut up = Up::with(&["--drain", "60s"]);
    let port = free_port();
    let workspace = up.start(repository(&[(".gitpod.yml", &streams(port))]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let mut socket = Socket::open(&up, &workspace, port, "/socket").await;
    let before = up.replaced_by(&mut gitpod(), &[]);
    let used = |up: &Up| up.describe(workspace.id())["alive_because"].to_string();
    let unused = used(&up);
    assert_eq!(socket.echo("still here").await, "still here");
    wait_until("use is told", || {
        futures_util::FutureExt::now_or_never(socket.say("x"));
        used(&up) != unused
    });
    assert!(up.run(&["stop", "--now", workspace.id()]).status.success());
    while let Some(Ok(_)) = socket.0.next().await {}
    before.finished();
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_take_longer_than_there_is_time_hear_of_a_restart() {
    let mut up = Up::with(&["--drain", "1s"]);
    let port = free_port();
    let workspace = up.start(repository(&[(".gitpod.yml", &streams(port))]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let mut socket = Socket::open(&up, &workspace, port, "/socket").await;
    let mut second = Socket::open(&up, &workspace, port, "/pings").await;
    // Which is not copied from socket to socket, but spliced.
    let long = "x".repeat(3 << 20);
    assert!(socket.echo(&long).await == long);
    let before = up.replaced_by(&mut gitpod(), &["--drain", "1s"]);
    let code = |message: Option<Result<Message, _>>| match message {
        Some(Ok(Message::Close(Some(close)))) => u16::from(close.code),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(socket.0.next().await), 1012);
    loop {
        match second.0.next().await {
            Some(Ok(Message::Ping(_))) => {}
            last => break assert_eq!(code(last), 1012),
        }
    }
    before.finished();
    // The same at the end of everything.
    let mut socket = Socket::open(&up, &workspace, port, "/socket").await;
    up.signal("TERM");
    assert_eq!(code(socket.0.next().await), 1012);
    up.finished();
}

#[test]
fn successor_that_asks_for_other_addresses_is_refused_and_nothing_happens() {
    let up = Up::new();
    let wrong = up.run(&[
        "up",
        "--replace",
        "--listen",
        "127.0.0.1:1",
        "--ssh-listen",
        "off",
    ]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        said.contains(&format!("--listen {}", up.address())),
        "{said}"
    );
    assert_eq!(up.json(&["list", "-o", "json"]), json!([]));
}

#[test]
fn attack_54_successor_that_fails_gives_everything_back() {
    let mut up = Up::new();
    let port = free_port();
    let workspace = up.start(repository(&[(".gitpod.yml", &streams(port))]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let run = up.describe(workspace.id())["instance_id"].clone();
    let asking = [true, false].map(|keeps| Asking::begin(&up, &workspace, port, keeps));
    for _ in 0..2 {
        // What it needs for networks is looked for late, and not found.
        let failed = gitpod()
            .env("PATH", "/nowhere")
            .args(["up", "--replace", "--network", "own", "--ide", "none"])
            .args([
                "--listen",
                "127.0.0.1:0",
                "--ssh-listen",
                "127.0.0.1:0",
                "--state-dir",
            ])
            .arg(up.state_dir())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(1), "{said}");
        asking.iter().for_each(Asking::wait_for_more);
        wait_until("it answers commands", || up.run(&["list"]).status.success());
        assert_eq!(up.describe(workspace.id())["instance_id"], run);
        assert!(up.log().contains("this one goes on"), "{}", up.log());
    }
    let before = up.replaced_by(&mut gitpod(), &[]);
    asking.iter().for_each(Asking::wait_for_more);
    asking.into_iter().for_each(Asking::end);
    before.finished();
    assert!(up.run(&["stop", "--now", workspace.id()]).status.success());
}

#[test]
fn without_anybody_to_replace_it_starts_as_usual() {
    let up = Up::with(&["--replace"]);
    assert_eq!(up.json(&["list", "-o", "json"]), json!([]));
}

/// At each moment of a hand-over, either is killed: the next `up` adopts what there is.
#[test]
fn attack_54_kill_of_either_in_a_hand_over_leaves_what_the_next_adopts() {
    let mut up = Up::with(&["--drain", "60s"]);
    let port = free_port();
    let workspace = up.start(repository(&[(".gitpod.yml", &streams(port))]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let run = up.describe(workspace.id())["instance_id"].clone();
    for (round, who) in ["new", "old", "new", "old", "new", "old"]
        .into_iter()
        .enumerate()
    {
        let state: PathBuf = up.state_dir();
        let mut next = gitpod()
            .args([
                "up",
                "--replace",
                "--listen",
                "127.0.0.1:0",
                "--ssh-listen",
                "127.0.0.1:0",
            ])
            .args(["--ide", "none", "-o", "json", "--state-dir"])
            .arg(&state)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Some moment of it; each round another one.
        let mut lock = String::new();
        let by = next.id().to_string();
        wait_until("something happens", || {
            lock = std::fs::read_to_string(state.join("lock")).unwrap_or_default();
            round % 3 == 0 || lock == by || next.try_wait().unwrap().is_some()
        });
        let dir = match who {
            "new" => {
                next.kill().unwrap();
                next.wait().unwrap();
                up.signal("KILL");
                up.kill()
            }
            _ => {
                let dir = up.kill();
                next.kill().unwrap();
                next.wait().unwrap();
                dir
            }
        };
        up = Up::at(dir, &["--drain", "60s"]);
        up.request_until(&workspace, port, |answer| answer.status() == 200);
        assert_eq!(
            up.describe(workspace.id())["instance_id"],
            run,
            "{round} {who}"
        );
    }
}
