//! How sessions end, and who hears of them.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gitpod_routing::RunState;
use gitpod_sshgw::{Heard, LoginMethod, SessionEnd, SshLimits};
use russh::ChannelMsg;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use crate::peer::logged_in;
use crate::support::{ID, STOPPED, Served, eventually, info, run, served, served_with};

/// A session that has begun and would go on for long.
async fn lasting(served: &Served, options: &[&str]) -> Child {
    let mut ssh = served.ssh(options);
    let mut ssh = ssh.arg("echo begun; sleep 60").spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(ssh.stdout.as_mut().unwrap());
    let read = timeout(Duration::from_secs(20), stdout.read_line(&mut line)).await;
    assert!(read.is_ok() && line.trim_end() == "begun", "{line:?}");
    ssh
}

/// Waits until the gateway has looked so often whether sessions may go on.
async fn looked_at(served: &Served, times: usize) {
    let looks = || served.looks.load(Ordering::Relaxed);
    let until = looks() + times;
    eventually("it looks", || looks() >= until).await;
}

/// A session whose program waits for a line of input, and then ends.
async fn typing(served: &Served, options: &[&str]) -> Child {
    let mut ssh = served.ssh(options);
    ssh.arg("echo begun; read line; echo done");
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(ssh.stdout.take().unwrap());
    line_with(&mut stdout, "begun").await;
    assert!(stdout.buffer().is_empty());
    ssh.stdout = Some(stdout.into_inner());
    ssh
}

/// The next line that has `text` in it.
async fn line_with(from: &mut (impl AsyncBufRead + Unpin), text: &str) -> String {
    let find = async {
        loop {
            let mut line = String::new();
            let read = from.read_line(&mut line).await.unwrap();
            assert_ne!(read, 0, "it ended without {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    };
    timeout(Duration::from_secs(20), find).await.unwrap()
}

/// What `ssh` says as it ends, which must be within a second and a bit.
async fn last_words(mut ssh: Child) -> String {
    let begun = Instant::now();
    let mut said = String::new();
    let mut stderr = ssh.stderr.take().unwrap();
    let ended = timeout(Duration::from_secs(20), stderr.read_to_string(&mut said)).await;
    ended.expect("it goes on").unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1500), "{said}");
    said
}

#[tokio::test]
async fn a_session_ends_with_its_workspace() {
    let served = served().await;
    let ssh = lasting(&served, &[]).await;
    served.workspaces.insert(info(ID, &served.key));
    let said = last_words(ssh).await;
    assert!(
        said.contains(&format!("workspace {ID} has stopped")),
        "{said}"
    );
    eventually("the end is told", || {
        let heard = served.sessions.heard();
        matches!(heard.last(), Some(Heard::Closed(_, summary)) if summary.end == SessionEnd::Stopped)
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_when_its_workspace_was_started_anew() {
    let served = served().await;
    let ssh = lasting(&served, &[]).await;
    let mut anew = info(ID, &served.key);
    anew.instance = "instance-2".parse().unwrap();
    served
        .workspaces
        .insert(anew.running_at([10, 0, 0, 8].into()));
    let said = last_words(ssh).await;
    let told = format!("workspace {ID} was started anew");
    assert!(said.contains(&told), "{said}");
}

#[tokio::test]
async fn a_workspace_that_still_stops_is_not_said_to_have_stopped() {
    let served = served().await;
    let ssh = lasting(&served, &[]).await;
    let mut stopping = info(ID, &served.key);
    stopping.state = RunState::Stopping;
    served.workspaces.insert(stopping);
    let said = last_words(ssh).await;
    let told = format!("workspace {ID} is stopping");
    assert!(said.contains(&told), "{said}");
}

#[tokio::test]
async fn a_session_ends_when_its_key_was_removed() {
    let served = served().await;
    let ssh = lasting(&served, &[]).await;
    let mut without = info(ID, &served.key).running_at([10, 0, 0, 7].into());
    without.ssh_public_keys.clear();
    served.workspaces.insert(without);
    let said = last_words(ssh).await;
    assert!(
        said.contains("opens workspace pink-panda-ns35kd21 no longer"),
        "{said}"
    );
}

#[tokio::test]
async fn a_session_by_token_outlives_the_owner_s_keys() {
    let served = served().await;
    let mut ssh = served.ssh_as(&format!("{ID}#s3cret"), &["-o", "PubkeyAuthentication=no"]);
    ssh.arg("read line; echo still here").stdin(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    eventually("it is in", || !served.sessions.heard().is_empty()).await;
    let mut without = info(ID, &served.key).running_at([10, 0, 0, 7].into());
    without.ssh_public_keys.clear();
    served.workspaces.insert(without);
    looked_at(&served, 3).await;
    let mut stdin = ssh.stdin.take().unwrap();
    stdin.write_all(b"\n").await.unwrap();
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"still here\n");
}

#[tokio::test]
async fn the_owner_of_a_stopped_workspace_is_told_how_to_start_it() {
    let served = served().await;
    let expected = format!("workspace {STOPPED} is stopped; start it with: gitpod start {STOPPED}");
    for options in [&[][..], &["-tt"], &["-T"]] {
        let ran = run(served.ssh_as(STOPPED, options).arg("true")).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            format!("{}{}", ran.stdout, ran.stderr).contains(&expected),
            "{ran:?}"
        );
    }
    let silent = run(&mut served.ssh_as(STOPPED, &["-N"])).await;
    assert!(silent.stderr.contains(&expected), "{silent:?}");
    let forward = ["-W", "127.0.0.1:1"];
    let forward = run(&mut served.ssh_as(STOPPED, &forward)).await;
    assert_ne!(forward.code, Some(0), "{forward:?}");
    assert_eq!(served.dials.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn clients_are_told_of_a_shutdown_and_may_finish() {
    let mut limits = SshLimits::default();
    limits.drain = Duration::from_secs(20);
    let mut served = served_with(limits, |gateway| gateway).await;
    let mut terminal = typing(&served, &["-tt"]).await;
    let mut quiet = typing(&served, &[]).await;
    let serving = served.shut_down();
    let mut stderr = BufReader::new(terminal.stderr.take().unwrap());
    let told = line_with(&mut stderr, "the gateway shuts down").await;
    assert!(told.contains("20 s"), "{told}");
    assert!(!serving.is_finished(), "it waits for who is busy");
    for program in [&mut terminal, &mut quiet] {
        let mut stdin = program.stdin.take().unwrap();
        stdin.write_all(b"go on\n").await.unwrap();
        let mut stdout = BufReader::new(program.stdout.take().unwrap());
        line_with(&mut stdout, "done").await;
    }
    let mut said = String::new();
    let mut stderr = quiet.stderr.take().unwrap();
    stderr.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "", "no file that is copied gets a message into it");
    timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut limits = SshLimits::default();
    limits.drain = Duration::from_millis(300);
    let mut served = served_with(limits, |gateway| gateway).await;
    let ssh = lasting(&served, &[]).await;
    let serving = served.shut_down();
    let said = last_words(ssh).await;
    assert!(said.contains("the gateway shuts down"), "{said}");
    timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_session_without_data_ends_after_a_while() {
    let mut limits = SshLimits::default();
    limits.idle = Some(Duration::from_millis(600));
    let served = served_with(limits, |gateway| gateway).await;
    let begun = Instant::now();
    let ran = run(served.ssh(&[]).arg("sleep 60")).await;
    assert!(ran.stderr.contains("nothing was sent"), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn attack_45_a_killed_client_frees_the_workspace_and_is_active_no_longer() {
    let mut limits = SshLimits::default();
    limits.activity = Duration::from_millis(100);
    let served = served_with(limits, |gateway| gateway).await;
    let mut marker = served.ssh(&[]);
    let file = served.path("pid");
    let command = format!(
        "echo $$ > {}; while sleep 0.1; do echo tick; done",
        file.display()
    );
    let mut ssh = marker.arg(command).stdout(Stdio::null()).spawn().unwrap();
    let workspace = info(ID, &served.key);
    eventually("its output counts as use", || {
        served.activity.uses_of(&workspace) > 3
    })
    .await;
    ssh.kill().await.unwrap();
    let pid = std::fs::read_to_string(&file).unwrap();
    let process = format!("/proc/{}", pid.trim());
    eventually("the program is gone", || {
        !std::path::Path::new(&process).exists()
    })
    .await;
    eventually("the session is closed", || {
        matches!(served.sessions.heard().last(), Some(Heard::Closed(..)))
    })
    .await;
    // What was its watch has ended with it: who is told of closed is told nothing more.
    let then = served.activity.uses_of(&workspace);
    let (other, _) = logged_in(&served).await;
    looked_at(&served, 3).await;
    assert_eq!(
        served.activity.uses_of(&workspace),
        then + 1,
        "the other came"
    );
    drop(other);
}

#[tokio::test]
async fn silence_is_no_use() {
    let mut limits = SshLimits::default();
    (limits.activity, limits.recheck) = (Duration::ZERO, Duration::from_millis(50));
    limits.keep_alive = Duration::from_millis(60);
    let served = served_with(limits, |gateway| gateway).await;
    let (handle, _) = logged_in(&served).await;
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, "read line").await.unwrap();
    while !matches!(channel.wait().await, Some(ChannelMsg::Success)) {}
    looked_at(&served, 2).await;
    let workspace = info(ID, &served.key);
    let then = served.activity.uses_of(&workspace);
    for _ in 0..5 {
        // Both sides ask each other.
        handle.send_keepalive(true).await.unwrap();
        handle.send_ping().await.unwrap();
        looked_at(&served, 2).await;
    }
    assert_eq!(served.activity.uses_of(&workspace), then);
}

#[tokio::test]
async fn to_log_in_and_to_open_a_channel_are_uses() {
    let mut limits = SshLimits::default();
    (limits.activity, limits.recheck) = (Duration::ZERO, Duration::from_millis(50));
    let served = served_with(limits, |gateway| gateway).await;
    let workspace = info(ID, &served.key);
    let (handle, _) = logged_in(&served).await;
    eventually("to come is a use", || {
        served.activity.uses_of(&workspace) == 1
    })
    .await;
    for uses in 2..4 {
        let channel = handle.channel_open_session().await.unwrap();
        eventually("a channel is a use", || {
            served.activity.uses_of(&workspace) == uses
        })
        .await;
        channel.exec(true, "read without_a_word").await.unwrap();
        looked_at(&served, 2).await;
        assert_eq!(served.activity.uses_of(&workspace), uses);
    }
}

#[tokio::test]
async fn a_command_without_output_is_a_use_however_short() {
    let mut limits = SshLimits::default();
    limits.activity = Duration::from_secs(3600);
    let served = served_with(limits, |gateway| gateway).await;
    let workspace = info(ID, &served.key);
    for number in 1..4 {
        let ran = run(served.ssh(&[]).arg("true")).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        eventually("it was a use", || {
            served.activity.uses_of(&workspace) >= number
        })
        .await;
    }
}

#[tokio::test]
async fn an_observer_hears_who_came_and_what_it_was() {
    let served = served().await;
    run(served.ssh(&[]).arg("head -c 1000 /dev/zero")).await;
    eventually("it is over", || served.sessions.heard().len() == 2).await;
    let heard = served.sessions.heard();
    let [Heard::Opened(opened), Heard::Closed(closed, summary)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(opened, closed);
    assert_eq!(
        (opened.method, opened.workspace.as_str()),
        (LoginMethod::Key, ID)
    );
    assert_eq!((summary.bytes_down, summary.channels), (1000, 1));
    assert_eq!(summary.end, SessionEnd::Client);
}

#[tokio::test]
async fn a_workspace_that_starts_ends_the_session_that_explains() {
    let served = served().await;
    let mut ssh = served.ssh_as(STOPPED, &["-T"]);
    let ran = run(ssh.stdin(Stdio::null())).await;
    assert_eq!(ran.code, Some(1));
    let mut starting = info(STOPPED, &served.key);
    starting.state = RunState::Starting;
    served.workspaces.insert(starting);
    let ran = run(served.ssh_as(STOPPED, &[]).arg("true")).await;
    assert!(ran.stderr.contains("is starting; try again"), "{ran:?}");
}

#[tokio::test]
async fn a_client_is_told_that_the_workspace_s_server_is_gone() {
    let served = served().await;
    let ssh = lasting(&served, &[]).await;
    // All of the workspace's processes are ours, so this is its server.
    let mut kill = served.ssh(&[]);
    let ended = kill.arg("kill -9 $PPID").spawn().unwrap();
    let output = ended.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("was lost; connect again"), "{said}");
    drop(ssh);
}
