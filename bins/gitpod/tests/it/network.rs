//! Workspaces with networks of their own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use crate::harness::{PATIENCE, Up, Workspace, program, repository, skip, wait_until};

/// Nobody has to look for a free one.
const PORT: u16 = 3000;

/// An `up` that gives every workspace its network; `None` if this machine cannot.
fn own() -> Option<Up> {
    let auto = Up::with(&["--network", "auto"]);
    wait_until("it says which network", || auto.log().contains("network: "));
    if !auto.log().contains("each workspace has its own") {
        skip(&format!("no own networks here: {}", auto.log()));
        return None;
    }
    drop(auto);
    Some(Up::with(&["--network", "own"]))
}

fn web(text: &str) -> String {
    format!("tasks:\n  - command: echo {text} > index.html && exec python3 -m http.server {PORT}\n")
}

fn echo() -> String {
    let script = program("upgrade_echo.py").canonicalize().unwrap();
    format!(
        "tasks:\n  - command: exec python3 {} {PORT}\n",
        script.display()
    )
}

#[test]
fn two_workspaces_listen_on_one_port_and_both_answer() {
    let Some(up) = own() else { return };
    let one = repository(&[(".gitpod.yml", &web("one"))]);
    let two = repository(&[(".gitpod.yml", &web("two"))]);
    let (first, second) = (up.start(one.path()), up.start(two.path()));

    for (workspace, text) in [(&first, "one"), (&second, "two")] {
        up.request_until(workspace, PORT, |answer| answer.body().trim() == text);
        assert_eq!(up.describe(workspace.id())["network"], "own");
        assert_eq!(up.owner_request(workspace, PORT + 1, "/").status(), 404);
    }
    for _ in 0..20 {
        assert_eq!(up.owner_request(&first, PORT, "/").body().trim(), "one");
        assert_eq!(up.owner_request(&second, PORT, "/").body().trim(), "two");
    }
}

#[test]
fn own_network_reaches_neither_other_workspaces_nor_loopback_of_the_machine() {
    let Some(up) = own() else { return };
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let one = repository(&[(".gitpod.yml", &web("one"))]);
    let first = up.start(one.path());
    up.request_until(&first, PORT, |answer| answer.status() == 200);
    let script = program("dial.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: python3 {} {PORT} {} > result.txt; exec python3 -m http.server 3001\n",
        script.display(),
        outside.local_addr().unwrap().port()
    );
    let two = repository(&[(".gitpod.yml", &yml)]);
    let second = up.start(two.path());

    up.request_until(&second, 3001, |answer| answer.status() == 200);
    let dialled = up.owner_request(&second, 3001, "/result.txt");

    // On its loopback, and by way of the gateway.
    let lines: Vec<_> = dialled.body().lines().collect();
    assert!(lines.len() >= 4, "{}", dialled.0);
    assert!(
        lines.iter().all(|line| line.ends_with("failed")),
        "{lines:?}"
    );
    assert!(
        outside.accept().is_err(),
        "a workspace reached this machine's loopback"
    );
}

#[test]
fn upgraded_connection_carries_bytes_both_ways() {
    let Some(up) = own() else { return };
    let repo = repository(&[(".gitpod.yml", &echo())]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, PORT, |answer| answer.status() == 426);

    let mut stream = TcpStream::connect(up.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: echo\r\nx-gitpod-owner-token: {}\r\n\r\n",
        workspace.host(PORT),
        workspace.token()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    // More than any buffer on the way holds.
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let expected = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut received = vec![0; expected.len()];
    stream.read_exact(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == expected, "bytes were changed on the way");
}

#[test]
fn nobody_outside_can_use_the_way_into_the_network() {
    let Some(up) = own() else { return };
    let repo = repository(&[(".gitpod.yml", &web("inside"))]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, PORT, |answer| answer.status() == 200);

    for host in [workspace.ide_host(), workspace.host(PORT)] {
        for line in [
            format!("CONNECT 127.0.0.1:{PORT} HTTP/1.1"),
            format!("CONNECT {host}:80 HTTP/1.1"),
            format!("CONNECT http://127.0.0.1:{PORT}/_supervisor/ HTTP/1.1"),
            "CONNECT /_supervisor/ HTTP/1.1".to_owned(),
        ] {
            let mut stream = TcpStream::connect(up.address()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let token = workspace.token();
            let head = format!("{line}\r\nHost: {host}\r\nx-gitpod-owner-token: {token}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            let status = String::from_utf8_lossy(&status);
            assert!(status.starts_with("HTTP/1.1 4"), "{line}: {status}");
        }
    }
}

#[test]
fn end_of_a_workspace_is_the_end_of_its_network() {
    let Some(up) = own() else { return };
    let repo = repository(&[(".gitpod.yml", &web("one"))]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, PORT, |answer| answer.status() == 200);
    let link = link_of(&up, &workspace);
    let network = std::fs::read_link(std::fs::read_link(&link).unwrap()).unwrap();
    assert_eq!(started_with(&link).len(), 1);
    assert!(members_of(&network) >= 2, "supervisor and server");

    assert!(up.run(&["stop", workspace.id()]).status.success());

    assert_eq!(members_of(&network), 0);
    wait_until("pasta ends", || started_with(&link).is_empty());
}

#[test]
fn network_survives_the_violent_end_of_up_and_ends_with_the_workspace() {
    let Some(up) = own() else { return };
    let repo = repository(&[(".gitpod.yml", &web("one"))]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, PORT, |answer| answer.status() == 200);
    let link = link_of(&up, &workspace);
    let dir = up.kill();

    // The choice is for workspaces that are started from now on.
    let up = Up::at(dir, &["--network", "shared"]);
    let answer = up.request_until(&workspace, PORT, |answer| answer.status() == 200);
    assert_eq!(answer.body().trim(), "one");
    assert_eq!(up.describe(workspace.id())["network"], "own");
    assert_eq!(started_with(&link).len(), 1);

    assert!(up.run(&["stop", workspace.id()]).status.success());
    wait_until("pasta ends", || started_with(&link).is_empty());
}

#[test]
fn network_of_a_supervisor_that_was_killed_ends_too() {
    let Some(up) = own() else { return };
    let repo = repository(&[(".gitpod.yml", &web("one"))]);
    let workspace = up.start(repo.path());
    let link = link_of(&up, &workspace);
    let process = std::fs::read_link(&link).unwrap();
    let pid = process.components().nth(2).unwrap().as_os_str().to_owned();

    let killed = std::process::Command::new("kill")
        .arg("-KILL")
        .arg(pid)
        .status();

    assert!(killed.unwrap().success());
    wait_until("it stops", || {
        up.describe(workspace.id())["phase"] == "stopped"
    });
    wait_until("pasta ends", || started_with(&link).is_empty());
}

#[test]
fn end_of_up_leaves_nothing_that_knows_its_directory() {
    let Some(up) = own() else { return };
    let repo = repository(&[(".gitpod.yml", &web("one"))]);
    let links: Vec<_> = (0..3)
        .map(|_| link_of(&up, &up.start(repo.path())))
        .collect();
    assert!(links.iter().all(|link| started_with(link).len() == 1));
    let probe = up.state_dir().join("network/namespace");

    let _dir = up.stop();

    wait_until("pasta ends", || {
        links
            .iter()
            .chain([&probe])
            .all(|link| started_with(link).is_empty())
    });
    assert!(links.iter().all(|link| !link.exists()));
}

/// What names the network of a workspace, and is gone with it.
fn link_of(up: &Up, workspace: &Workspace) -> PathBuf {
    let instance = workspace.0["instance_id"].as_str().unwrap();
    up.state_dir()
        .join("instances")
        .join(instance)
        .join("network/namespace")
}

/// Processes with `path` among their arguments.
fn started_with(path: &std::path::Path) -> Vec<u32> {
    let wanted = path.to_str().unwrap().as_bytes();
    let holds = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == wanted)
    };
    processes().filter(holds).collect()
}

/// How many processes are in `network`.
fn members_of(network: &std::path::Path) -> usize {
    let is_in = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|its| its == network)
    };
    processes().filter(is_in).count()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
