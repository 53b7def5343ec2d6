//! Who was let in, and asks for too much.

use std::time::Duration;

use gitpod_sshgw::{Heard, SshLimits};
use tokio::time::timeout;

use crate::peer::logged_in;
use crate::support::{eventually, run, served, served_with};

#[tokio::test]
async fn attack_42_channels_are_limited_and_free_again_when_closed() {
    let mut limits = SshLimits::default();
    limits.channels_per_session = 4;
    let served = served_with(limits, |gateway| gateway).await;
    let (handle, _) = logged_in(&served).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(handle.channel_open_session().await.unwrap());
    }
    assert!(handle.channel_open_session().await.is_err());
    assert!(
        handle
            .channel_open_direct_tcpip("127.0.0.1", 1, "", 0)
            .await
            .is_err()
    );
    open.pop().unwrap().close().await.unwrap();
    let opened = async { while handle.channel_open_session().await.is_err() {} };
    timeout(Duration::from_secs(10), opened).await.unwrap();
}

#[tokio::test]
async fn attack_42_sessions_of_a_workspace_are_limited() {
    let mut limits = SshLimits::default();
    limits.sessions_per_workspace = 1;
    let served = served_with(limits, |gateway| gateway).await;
    let (handle, _) = logged_in(&served).await;
    let ran = run(served.ssh(&[]).arg("true")).await;
    assert!(
        ran.stderr.contains("has 1 SSH connections already"),
        "{ran:?}"
    );
    drop(handle);
    eventually("the first is gone", || {
        let heard = served.sessions.heard();
        let closed = |heard: &&Heard| matches!(heard, Heard::Closed(..));
        heard.iter().filter(closed).count() == 2
    })
    .await;
    assert_eq!(run(served.ssh(&[]).arg("true")).await.code, Some(0));
}

#[tokio::test]
async fn attack_42_a_flood_of_requests_is_answered_one_by_one() {
    let served = served().await;
    let (handle, _) = logged_in(&served).await;
    let channel = handle.channel_open_session().await.unwrap();
    let (mut answers, requests) = channel.split();
    tokio::spawn(async move {
        for _ in 0..500 {
            requests.set_env(true, "LD_PRELOAD", "x").await.unwrap();
            requests.set_env(true, "LANG", "C").await.unwrap();
        }
        requests.exec(true, "exit 3").await.unwrap();
    });
    let (mut refused, mut granted, mut status) = (0, 0, None);
    while let Some(message) = answers.wait().await {
        match message {
            russh::ChannelMsg::Failure => refused += 1,
            russh::ChannelMsg::Success => granted += 1,
            russh::ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!((refused, granted, status), (500, 501, Some(3)));
}
