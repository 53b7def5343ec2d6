//! Who logs in to a stopped workspace has it started, and goes on when it runs.

use std::process::Command;

use crate::harness::{free_port, program, wait_until};
use crate::ssh_harness::{Login, pattern, succeeded, text, with_input};

/// A user whose workspace is stopped.
fn asleep(args: &[&str], files: &[(&str, &str)]) -> Option<Login> {
    let login = Login::with(args, files)?;
    let stopped = login.up.run(&["stop", "--now", login.id()]);
    assert!(stopped.status.success(), "{}", login.up.log());
    Some(login)
}

/// How often its workspace was run so far.
fn runs(login: &Login) -> usize {
    let logs = login.up.state_dir().join("workspaces").join(login.id());
    std::fs::read_dir(logs.join("logs")).unwrap().count()
}

#[test]
fn sessions_are_held_and_go_on_after_one_start() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    let outputs = std::thread::scope(|scope| {
        let ssh = |number: usize| {
            login.ssh(["ws".to_owned(), format!("echo in {number}; exit {number}")])
        };
        let began: Vec<_> = (0..5)
            .map(|number| scope.spawn(move || ssh(number)))
            .collect();
        began
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    let word = format!("workspace {} was stopped, and is started", login.id());
    let mut told = 0;
    for (number, output) in outputs.iter().enumerate() {
        assert_eq!(
            text(&output.stdout),
            format!("in {number}\n"),
            "{}",
            text(&output.stderr)
        );
        assert_eq!(output.status.code(), i32::try_from(number).ok());
        told += usize::from(text(&output.stderr).contains(&word));
    }
    assert!(
        told >= 1,
        "{:?}",
        outputs
            .iter()
            .map(|it| text(&it.stderr))
            .collect::<Vec<_>>()
    );
    assert_eq!(runs(&login), 2);
    assert!(
        !text(&login.ssh(["ws", "true"]).stderr).contains("workspace"),
        "nothing to tell any more"
    );
}

#[test]
fn terminal_and_what_is_typed_meanwhile_are_kept() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    let mut command = login.client("ssh");
    command.args(["-tt", "ws", "read line; test -t 0 && echo \"read $line\""]);
    let output = with_input(&mut command, b"early words\n".to_vec());
    assert!(
        text(&output.stdout).contains("read early words"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn stream_of_data_that_came_while_it_started_is_complete() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    let sent = pattern(8 << 20);
    let mut command = login.client("ssh");
    command.args(["ws", "cat"]);
    let output = with_input(&mut command, sent.clone());
    succeeded(&output);
    assert!(
        output.stdout == sent,
        "{} of {} bytes",
        output.stdout.len(),
        sent.len()
    );
}

#[test]
fn connection_for_forwards_alone_starts_it_as_well() {
    let port = free_port();
    let script = program("web.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: exec python3 {} {port}\n",
        script.display()
    );
    let Some(login) = asleep(&[], &[(".gitpod.yml", &yml)]) else {
        return;
    };
    let local = free_port();
    let _ssh = login.background(&["-N", &format!("-L{local}:127.0.0.1:{port}"), "ws"]);
    wait_until("the forward answers", || {
        let url = format!("http://127.0.0.1:{local}/");
        let got = Command::new("curl")
            .args(["-fsS", "--max-time", "5", &url])
            .output();
        text(&got.unwrap().stdout).contains("\"path\": \"/\"")
    });
    assert_eq!(runs(&login), 2);
}

#[test]
fn gitpod_ssh_starts_it_as_well() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    let output = login.up.run(&["ssh", login.id(), "--", "echo here"]);
    assert_eq!(text(&output.stdout), "here\n", "{}", text(&output.stderr));
}

#[test]
fn attack_33_stranger_starts_nothing_and_never_means_never() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    login.make_key("stranger", &["-t", "ed25519"]);
    let key = format!("-oIdentityFile={}", login.path("stranger").display());
    let output = login.ssh([&key, "bare", "true"]);
    assert_eq!(output.status.code(), Some(255));
    let user = format!("-oUser={}#wrong-token", login.id());
    assert_eq!(login.ssh([&user, "bare", "true"]).status.code(), Some(255));

    assert!(
        login
            .up
            .run(&["wake", login.id(), "never"])
            .status
            .success()
    );
    let output = login.ssh(["ws", "true"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("is stopped; start it with: gitpod start"),
        "{said}"
    );
    assert_eq!(runs(&login), 1);
}

#[test]
fn token_of_the_run_before_opens_the_run_that_it_started() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    let user = format!("-oUser={}#{}", login.id(), login.workspace.token());
    let output = login.ssh([&user, "bare", "echo owner; sleep 2; echo still"]);
    assert_eq!(
        text(&output.stdout),
        "owner\nstill\n",
        "{}",
        text(&output.stderr)
    );
    // It opens no other run later.
    assert_eq!(login.ssh([&user, "bare", "true"]).status.code(), Some(255));
}

#[test]
fn start_that_fails_is_told() {
    let Some(login) = asleep(&[], &[]) else {
        return;
    };
    // Neither its files nor what they came from are there any more.
    std::fs::remove_dir_all(login.content()).unwrap();
    let output = login.ssh(["ws", "true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("did not start"),
        "{}",
        text(&output.stderr)
    );
}
