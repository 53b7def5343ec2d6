//! Shells and commands.

use std::io::Write;
use std::process::Stdio;

use crate::client::{Ssh, output, text};
use crate::support::{Place, exists, until};

#[tokio::test]
async fn command_runs_in_the_content_with_the_variables_of_tasks() {
    let ssh = Ssh::start().await;
    let ran = ssh
        .run("pwd; echo $GREETING $GITPOD_WORKSPACE_ID $SSH_CONNECTION; test -t 0; echo $?")
        .await;
    assert_eq!(
        text(&ran.stdout),
        format!(
            "{}\nhello pink-panda-ns35kd21 UNKNOWN 65535 UNKNOWN 65535\n1\n",
            ssh.place
                .file("")
                .parent()
                .unwrap()
                .join("content")
                .canonicalize()
                .unwrap()
                .display()
        )
    );
}

#[tokio::test]
async fn programs_learn_where_the_client_is_as_far_as_the_gateway_has_said() {
    let ssh = Ssh::start().await;
    for (said, expected) in [
        ("192.0.2.7 4711", "192.0.2.7 4711"),
        ("2001:db8::7 1", "2001:db8::7 1"),
        ("$(id) 1", "UNKNOWN 65535"),
    ] {
        let said = format!("SetEnv=GITPOD_SSH_CLIENT=\"{said}\"");
        let mut command = ssh.ssh(&["-o", &said]);
        command.arg("echo $SSH_CLIENT/$SSH_CONNECTION/$GITPOD_SSH_CLIENT");
        let ran = output(command).await;
        assert_eq!(
            text(&ran.stdout),
            format!("{expected} 65535/{expected} UNKNOWN 65535/\n"),
            "{}",
            text(&ran.stderr)
        );
    }
}

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let ssh = Ssh::start().await;
    assert_eq!(ssh.run("exit 0").await.status.code(), Some(0));
    assert_eq!(ssh.run("exit 7").await.status.code(), Some(7));
    assert_eq!(ssh.run("no-such-program").await.status.code(), Some(127));
    let mut killed = ssh.ssh(&["-v"]);
    killed.arg("kill -TERM $$");
    let killed = output(killed).await;
    assert_eq!(killed.status.code(), Some(255));
    assert!(
        text(&killed.stderr).contains("exit-signal"),
        "{}",
        text(&killed.stderr)
    );
}

#[tokio::test]
async fn a_megabyte_on_each_stream_is_complete_in_many_runs() {
    let ssh = Ssh::start().await;
    for run in 0..20 {
        let ran = ssh
            .run("head -c 1000000 /dev/zero >&2 & head -c 1000000 /dev/zero; wait; exit 3")
            .await;
        assert_eq!(
            (ran.stdout.len(), ran.stderr.len(), ran.status.code()),
            (1_000_000, 1_000_000, Some(3)),
            "run {run}"
        );
    }
}

#[tokio::test]
async fn input_reaches_the_program_and_ends() {
    let ssh = Ssh::start().await;
    let mut command = ssh.ssh(&[]);
    command
        .arg("wc -c; echo end")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let ran = tokio::task::spawn_blocking(move || {
        stdin.write_all(&vec![b'x'; 20_000_000]).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    });
    assert_eq!(text(&ran.await.unwrap().stdout), "20000000\nend\n");
}

#[tokio::test]
async fn shell_with_a_terminal_has_its_size_kind_and_control() {
    let ssh = Ssh::start().await;
    let mut command = ssh.ssh(&["-tt"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("TERM", "xterm-256color");
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo kind=$TERM tty=$(test \"$(tty)\" = \"$SSH_TTY\" && echo same)\nps -o tty= -p $$\nshopt -q login_shell && echo lo''gin\nexit 5\n").unwrap();
    let ran = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    let said = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(5), "{said}");
    for part in ["kind=xterm-256color tty=same", "pts/", "login\r\n"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn shell_without_a_terminal_reads_its_input() {
    let ssh = Ssh::start().await;
    let mut command = ssh.ssh(&["-T"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo $((6 * 7))\nexit 4\n")
        .unwrap();
    let ran = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    assert_eq!(
        (text(&ran.stdout).as_str(), ran.status.code()),
        ("42\n", Some(4))
    );
}

#[tokio::test]
async fn client_that_leaves_hangs_its_program_up_and_background_ones_live_on() {
    let ssh = Ssh::start().await;
    let pid = |name: &str| {
        std::fs::read_to_string(ssh.place.file(name))
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    };
    let mut command = ssh.ssh(&[]);
    command.arg("setsid sh -c 'echo $$ > background; exec sleep 1000' </dev/null >/dev/null 2>&1 & echo $$ > program; sleep 1000");
    let mut client = command.spawn().unwrap();
    until(|| pid("program").is_some() && pid("background").is_some()).await;
    let (program, background) = (pid("program").unwrap(), pid("background").unwrap());
    client.kill().unwrap();
    client.wait().unwrap();
    until(|| !exists(program)).await;
    assert!(exists(background));
    assert!(ssh.running.stop().await.success());
    assert!(!exists(background));
}

#[tokio::test]
async fn stop_ends_sessions() {
    let ssh = Ssh::start().await;
    let mut command = ssh.ssh(&["-tt"]);
    command
        .arg("echo $$ > program; trap '' TERM; sleep 1000")
        .stdin(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let file = ssh.place.file("program");
    until(|| file.exists()).await;
    assert!(ssh.running.stop().await.success());
    let ended = tokio::task::spawn_blocking(move || client.wait().unwrap());
    assert!(!ended.await.unwrap().success());
}

#[tokio::test]
async fn attack_43_variables_of_the_client_are_chosen() {
    let ssh = Ssh::of(Place::new("")).await;
    let mut command = ssh.ssh(&[
        "-o",
        "SendEnv=LD_PRELOAD BASH_ENV LC_TEST GIT_PROTOCOL PATH",
    ]);
    command
        .env("LD_PRELOAD", "")
        .env("BASH_ENV", "/x")
        .env("LC_TEST", "yes")
        .env("GIT_PROTOCOL", "version=2");
    command.arg("echo [$LD_PRELOAD$BASH_ENV] $LC_TEST $GIT_PROTOCOL");
    assert_eq!(text(&output(command).await.stdout), "[] yes version=2\n");
}
