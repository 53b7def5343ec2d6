//! Strangers at the door of the gateway.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::harness::program;
use crate::ssh_harness::{Login, installed_client, succeeded, text};

/// Long enough for an answer; what ends only at the end of the login grace is not waited for.
const A_MOMENT: Duration = Duration::from_secs(2);

#[test]
fn attack_38_hostile_user_names_get_nobody_in_and_nothing_into_the_log() {
    let Some(python) = installed_client("python") else {
        return;
    };
    let Some(login) = Login::new() else { return };
    let output = Command::new(python)
        .arg(program("ssh_hostile_names.py"))
        .arg(login.port().to_string())
        .arg(login.id())
        .arg(login.path("id"))
        .output()
        .unwrap();
    let told = succeeded(&output);
    assert!(told.contains("all refused"), "{told}");
    let log = login.up.log();
    assert!(!log.contains("INJECTED"), "{log}");
    assert!(!log.contains(login.workspace.token()), "{log}");
    assert_eq!(login.run("echo in"), "in\n");
}

#[test]
fn attack_39_a_stranger_cannot_tell_what_exists_from_what_she_is_told() {
    let Some(login) = Login::new() else { return };
    login.make_key("stranger", &["-t", "ed25519"]);
    let stopped = login.up.start(crate::harness::repository(&[]).path());
    assert!(login.up.run(&["stop", stopped.id()]).status.success());
    let told = |id: &str| {
        let file = format!("-oIdentityFile={}", login.path("stranger").display());
        let user = format!("-oUser={id}");
        let output = login.ssh(["-vv", "-oLogLevel=DEBUG2", &file, &user, "bare", "true"]);
        assert_eq!(output.status.code(), Some(255));
        // What the server says, and in which order.
        let said: Vec<_> = text(&output.stderr)
            .lines()
            .filter(|line| {
                line.contains("Authentications")
                    || line.contains("denied")
                    || line.contains("receive packet")
                    || line.contains("isconnect")
            })
            .map(|line| line.trim().replace(id, "ID"))
            .collect();
        said
    };
    let running = told(login.id());
    assert!(
        running.iter().any(|line| line.contains("denied")),
        "{running:?}"
    );
    assert_eq!(told(stopped.id()), running);
    assert_eq!(told("pink-panda-ns35kd21"), running);
    assert_eq!(told("root"), running);
}

#[test]
fn attack_37_key_that_was_only_offered_opens_nothing() {
    let Some(python) = installed_client("python") else {
        return;
    };
    let Some(login) = Login::new() else { return };
    let output = Command::new(python)
        .arg(program("ssh_offered_key.py"))
        .arg(login.port().to_string())
        .arg(login.id())
        .arg(login.path("id.pub"))
        .output()
        .unwrap();
    assert_eq!(succeeded(&output), "refused\n");
}

#[test]
fn attack_41_connections_that_say_nothing_or_nonsense_end_and_keep_nobody_out() {
    let Some(login) = Login::new() else { return };
    let dial = || {
        let stream = TcpStream::connect(("127.0.0.1", login.port())).unwrap();
        stream.set_read_timeout(Some(A_MOMENT)).unwrap();
        stream
    };
    let mute: Vec<_> = (0..5).map(|_| dial()).collect();
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\0\0\0\0\0",
        &[b'A'; 100_000],
    ] {
        let mut stream = dial();
        let _ = stream.write_all(nonsense);
        let mut answer = Vec::new();
        // It is told who is here, and no more.
        let _ = stream.read_to_end(&mut answer);
        assert!(!text(&answer).contains("russh"), "{}", text(&answer));
    }
    assert_eq!(login.run("echo in"), "in\n");
    drop(mute);
}

#[test]
fn attack_44_socket_of_another_server_is_not_taken_for_the_workspaces() {
    let Some(login) = Login::new() else { return };
    let instance = login.workspace.0["instance_id"].as_str().unwrap();
    let dir = login.up.state_dir().join("instances").join(instance);
    let other = login.up.start(crate::harness::repository(&[]).path());
    let other = login
        .up
        .state_dir()
        .join("instances")
        .join(other.0["instance_id"].as_str().unwrap());
    assert_eq!(login.run("echo in"), "in\n");
    // Another workspace's server answers at the socket.
    std::fs::remove_file(dir.join("ssh.sock")).unwrap();
    std::os::unix::fs::symlink(other.join("ssh.sock"), dir.join("ssh.sock")).unwrap();
    let output = login.ssh(["ws", "echo in"]);
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn wrong_passwords_are_counted_and_end_the_connection() {
    let Some(python) = installed_client("python") else {
        return;
    };
    let Some(login) = Login::new() else { return };
    let output = Command::new(python)
        .arg(program("ssh_passwords.py"))
        .arg(login.port().to_string())
        .arg(login.id())
        .output()
        .unwrap();
    let tried: u32 = succeeded(&output).trim().parse().unwrap();
    assert!((2..=8).contains(&tried), "{tried} passwords could be tried");
    assert_eq!(login.run("echo in"), "in\n");
}
