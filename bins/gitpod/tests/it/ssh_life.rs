//! How sessions end, and what they keep alive.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Up, wait_until};
use crate::ssh_harness::{Background, Login, text};

/// A second, as promised, and time for a busy machine to start programs.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A session that has begun.
fn session(login: &Login) -> Background {
    let mut ssh = login.background(&["ws", "echo begun; exec sleep 1000"]);
    let mut line = String::new();
    BufReader::new(ssh.0.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "begun\n", "{}", login.up.log());
    ssh
}

/// Waits for the end of a session, and gives what it was told.
fn end(mut ssh: Background) -> String {
    let begin = Instant::now();
    let mut told = String::new();
    ssh.0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    ssh.0.wait().unwrap();
    assert!(
        begin.elapsed() < AT_ONCE,
        "it took {:?}: {told}",
        begin.elapsed()
    );
    told
}

#[test]
fn stop_ends_sessions_with_a_message_and_their_processes() {
    let Some(login) = Login::new() else { return };
    let ssh = session(&login);
    let id = login.id().to_owned();
    let stopped = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| login.up.run(&["stop", &id]));
        let told = end(ssh);
        assert!(told.contains("stop"), "it is told why: {told:?}");
        stopping.join().unwrap()
    });
    assert!(stopped.status.success());
}

#[test]
fn delete_ends_sessions_with_a_message() {
    let Some(login) = Login::new() else { return };
    let ssh = session(&login);
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| login.up.run(&["delete", login.id()]));
        let told = end(ssh);
        assert!(told.contains("stop"), "it is told why: {told:?}");
        assert!(deleting.join().unwrap().status.success());
    });
}

#[test]
fn owner_of_a_stopped_workspace_is_told_how_to_start_it() {
    let Some(login) = Login::new() else { return };
    let never = login.up.run(&["wake", login.id(), "never"]);
    assert!(never.status.success());
    assert!(login.up.run(&["stop", login.id()]).status.success());
    let wanted = format!(
        "workspace {0} is stopped; start it with: gitpod start {0}",
        login.id()
    );
    let output = login.ssh(["ws", "true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&wanted),
        "{}",
        text(&output.stderr)
    );
    let output = login.ssh(["-N", "ws"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(
        text(&output.stderr).contains(&wanted),
        "{}",
        text(&output.stderr)
    );

    assert!(login.up.run(&["start", login.id()]).status.success());
    assert_eq!(login.run("echo again"), "again\n");
}

#[test]
fn attack_35_removed_key_ends_its_sessions_and_no_others() {
    let Some(login) = Login::new() else { return };
    login.make_key("other", &["-t", "ed25519"]);
    let other = login.path("other.pub");
    assert!(
        login
            .up
            .run(&["ssh-key", "add", other.to_str().unwrap()])
            .status
            .success()
    );
    let mut stays = {
        let file = format!("-oIdentityFile={}", login.path("other").display());
        let mut ssh = login.background(&[&file, "bare", "echo begun; cat"]);
        let mut line = String::new();
        BufReader::new(ssh.0.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        ssh
    };
    let goes = session(&login);

    assert!(login.up.run(&["ssh-key", "remove", "id"]).status.success());

    let told = end(goes);
    assert!(!told.is_empty(), "it is told why");
    assert_eq!(login.ssh(["ws", "true"]).status.code(), Some(255));
    drop(
        stays
            .0
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(b"still here\n")),
    );
    let mut said = String::new();
    stays
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "still here\n");
}

#[test]
fn end_of_up_tells_sessions_and_ends_them() {
    let Some(login) = Login::with(&["--drain", "1s"], &[]) else {
        return;
    };
    let ssh = session(&login);
    let Login { up, .. } = login;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| up.stop());
        let told = end(ssh);
        assert!(!told.is_empty(), "it is told why");
        stopping.join().unwrap();
    });
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn who_comes_while_up_ends_or_does_not_run_is_told_so() {
    let Some(login) = Login::with(&["--drain", "60s"], &[]) else {
        return;
    };
    let goes_on = session(&login);
    login.up.signal("INT");
    let come = |option: &[&str]| {
        let command = [&["ssh", login.id()], option].concat();
        let output = login.up.run(&command);
        (output.status.code(), text(&output.stderr))
    };
    for option in [&["--stdio"][..], &["--", "true"]] {
        wait_until("nobody is let in any more", || {
            let (code, told) = come(option);
            code == Some(5) && told.contains("takes no more SSH connections")
        });
        let (_, told) = come(option);
        assert!(
            told.contains("fix: if it ends, wait until it has"),
            "{told}"
        );
    }
    login.up.signal("INT");
    end(goes_on);
    wait_until("up has ended", || {
        let (code, told) = come(&["--", "true"]);
        code == Some(5) && told.contains("run `gitpod up` first")
    });
}

#[test]
fn attack_45_client_that_vanishes_leaves_nothing_behind() {
    let Some(login) = Login::new() else { return };
    let marker = format!("7{}", std::process::id());
    let mut ssh = login.background(&["-tt", "ws", &format!("sleep {marker}")]);
    let runs = || {
        let found = Command::new("pgrep")
            .args(["-f", &format!("^sleep {marker}$")])
            .output();
        !found.unwrap().stdout.is_empty()
    };
    wait_until("the command runs", runs);
    ssh.0.kill().unwrap();
    ssh.0.wait().unwrap();
    wait_until("the command ends with its terminal", || !runs());
}

#[test]
fn session_in_use_keeps_the_workspace_and_an_idle_one_does_not() {
    let Some(login) = Login::with(&["--timeout", "8s"], &[]) else {
        return;
    };
    let mut ssh = login.background(&["-oServerAliveInterval=1", "ws", "cat"]);
    let mut stdin = ssh.0.stdin.take().unwrap();
    let mut echo = BufReader::new(ssh.0.stdout.take().unwrap());
    let first = login.up.describe(login.id())["stops_at"].clone();
    let mut line = String::new();
    wait_until("use puts the end off", || {
        stdin.write_all(b"typing\n").unwrap();
        echo.read_line(&mut line).unwrap();
        let stops_at = login.up.describe(login.id())["stops_at"].clone();
        stops_at.as_str().unwrap() > first.as_str().unwrap()
    });
    // From here on there are only keep-alives.
    wait_until("it stops", || {
        login.up.describe(login.id())["phase"] == "stopped"
    });
    drop(stdin);
}

#[test]
fn shell_survives_neither_stop_nor_a_killed_up_but_the_next_up_lets_in_again() {
    let Some(login) = Login::new() else { return };
    login.run("echo kept > file");
    let Login {
        up,
        workspace,
        home,
    } = login;
    let up = Up::at(up.kill(), &[]);
    let login = Login {
        up,
        workspace,
        home,
    };
    let output = login
        .client("ssh")
        .args([&format!("-oPort={}", login.port()), "ws", "cat file"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "kept\n", "{}", text(&output.stderr));
}
