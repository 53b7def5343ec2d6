//! `gitpod up --replace` by somebody who does not get ready: the one before goes on.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Up, Workspace, free_port, gitpod, program, repository, wait_until};
use crate::socket::Socket;
use crate::ssh_harness::Login;

/// A directory with a `pasta` that does `what`: a successor runs it once it holds everything and is not ready yet.
fn pasta(what: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pasta");
    std::fs::write(&path, format!("#!/bin/sh\n{what}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

/// A successor of `up` that waits for its networks and finds the `pasta` in `bin`.
fn successor(up: &Up, bin: &Path, within: &str) -> Child {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    let mut command: Command = gitpod();
    command
        .env("PATH", std::env::join_paths(paths).unwrap())
        .args(["up", "--replace", "--replace-within", within])
        .args(["--network", "own", "--ide", "none"])
        .args(["--listen", "127.0.0.1:0", "--ssh-listen", "127.0.0.1:0"])
        .arg("--state-dir")
        .arg(up.state_dir())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn told(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    let stderr = child.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

fn has_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
    stat.is_ok_and(|stat| stat.contains(") T "))
}

/// A workspace that answers at `port`.
fn serving(up: &Up, port: u16) -> Workspace {
    let script = program("streams.py").canonicalize().unwrap();
    let script = script.display();
    let yml = format!("tasks:\n  - command: exec python3 {script} {port}\n");
    let workspace = up.start(repository(&[(".gitpod.yml", &yml)]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    workspace
}

/// As before: it answers commands, requests, sockets, and workspaces have not noticed.
async fn goes_on(up: &Up, workspace: &Workspace, port: u16, socket: &mut Socket) {
    assert!(up.run(&["list"]).status.success());
    let now = up.describe(workspace.id());
    assert_eq!(now["instance_id"], workspace.0["instance_id"]);
    assert_eq!(up.owner_request(workspace, port, "/").status(), 200);
    assert_eq!(socket.echo("still here").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_54_successor_that_hangs_is_ended_and_the_one_before_goes_on() {
    // Much less time than what is open stays open for.
    let Some(mut login) = Login::with(&["--drain", "1s"], &[]) else {
        return;
    };
    let port = free_port();
    let workspace = serving(&login.up, port);
    let mut socket = Socket::open(&login.up, &workspace, port, "/socket").await;
    let mut session = login.background(&["-tt", "ws", "cat"]);

    // One that cannot hear, and holds the lock.
    let stops = pasta("kill -STOP $PPID");
    let mut hanging = successor(&login.up, stops.path(), "1s");
    wait_until("it hangs", || {
        has_stopped(&hanging) || hanging.try_wait().unwrap().is_some()
    });
    assert!(has_stopped(&hanging), "{:?}", told(hanging));
    let waiting = {
        let (state, address) = (login.up.state_dir(), login.up.address().to_owned());
        std::thread::spawn(move || {
            let list = gitpod().env("GITPOD_STATE_DIR", state).arg("list").status();
            (
                list.unwrap().success(),
                std::net::TcpStream::connect(address).is_ok(),
            )
        })
    };
    let (code, said) = told(hanging);
    assert_eq!(code, None, "it was killed: {said}");
    assert_eq!(waiting.join().unwrap(), (true, true));
    goes_on(&login.up, &workspace, port, &mut socket).await;
    assert!(
        login
            .up
            .log()
            .contains("was not ready within 1s; this one goes on")
    );

    // One that is slow, and can be told.
    let slow = pasta("exec sleep 100");
    let (code, said) = told(successor(&login.up, slow.path(), "1500ms"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not ready within 1.5s"), "{said}");
    goes_on(&login.up, &workspace, port, &mut socket).await;
    assert!(session.0.try_wait().unwrap().is_none(), "SSH was cut");

    // And one that is as it should be: what the first had open goes with it.
    let before = login.up.replaced_by(&mut gitpod(), &[]);
    assert_eq!(login.up.owner_request(&workspace, port, "/").status(), 200);
    while let Some(Ok(message)) = futures_util::StreamExt::next(&mut socket.0).await {
        assert!(message.is_close(), "{message}");
    }
    let mut heard = String::new();
    let out = session.0.stderr.as_mut().unwrap();
    out.read_to_string(&mut heard).unwrap();
    assert!(heard.contains("connect again"), "{heard:?}");
    before.finished();
    assert_eq!(
        login.up.json(&["list", "-o", "json"])[0]["phase"],
        "running"
    );
}

#[test]
fn one_before_that_hangs_lets_nobody_in_and_is_named() {
    let up = Up::new();
    up.signal("STOP");
    let none = tempfile::tempdir().unwrap();
    let (code, said) = told(successor(&up, none.path(), "300ms"));
    up.signal("CONT");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has not let go within 300ms"), "{said}");
    wait_until("it goes on", || up.run(&["list"]).status.success());
}
