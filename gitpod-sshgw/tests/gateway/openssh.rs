//! What OpenSSH's client does through the gateway, with OpenSSH's server in the workspace.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;

use crate::support::{run, served};

#[tokio::test]
async fn a_command_has_its_output_its_errors_and_its_status() {
    let served = served().await;
    let ran = run(served.ssh(&[]).arg("echo out; echo err >&2; exit 7")).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str(), ran.code),
        ("out\n", "err\n", Some(7))
    );
}

#[tokio::test]
async fn input_ends_while_output_goes_on() {
    let served = served().await;
    let mut ssh = served.ssh(&[]);
    ssh.arg("cat; echo after the end").stdin(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    input.write_all(b"some input\n").await.unwrap();
    drop(input);
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"some input\nafter the end\n");
}

#[tokio::test]
async fn a_terminal_has_the_size_and_type_of_the_client_s() {
    let served = served().await;
    let mut ssh = served.ssh(&["-tt"]);
    let ran = run(ssh
        .env("TERM", "xterm-256color")
        .arg("echo $TERM; tty; exit 3"))
    .await;
    assert!(
        ran.stdout.starts_with("xterm-256color\r\n/dev/pts/"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(3));
}

#[tokio::test]
async fn a_shell_reads_what_is_typed() {
    let served = served().await;
    let mut ssh = served.ssh(&["-T"]);
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    input.write_all(b"echo $((6 * 7))\nexit 5\n").await.unwrap();
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
    assert_eq!(output.status.code(), Some(5));
}

#[tokio::test]
async fn a_program_that_a_signal_ended_is_reported_as_such() {
    let served = served().await;
    let ran = run(served.ssh(&[]).arg("kill -TERM $$")).await;
    assert_eq!(ran.code, Some(255), "{ran:?}"); // what OpenSSH makes of exit-signal
}
