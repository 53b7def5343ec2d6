//! Clients that ask for too much, or for nonsense. Whatever becomes of them, the next one gets in.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Pty, Sig};

use crate::client::Ssh;
use crate::support::LONG;

const MOST_CONNECTIONS: usize = 125;
const MOST_CHANNELS: usize = 320;

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A client whose every message is our own.
async fn log_in(ssh: &Ssh) -> Handle<Trusting> {
    let stream = tokio::net::UnixStream::connect(ssh.path("ssh.sock"))
        .await
        .unwrap();
    let config = Arc::new(client::Config::default());
    let mut handle = client::connect_stream(config, stream, Trusting)
        .await
        .unwrap();
    let key = PrivateKey::from_openssh(fs::read_to_string(ssh.path("plain")).unwrap()).unwrap();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let admitted = handle.authenticate_publickey("gitpod", key).await.unwrap();
    assert!(admitted.success());
    handle
}

/// The answer to the last request.
async fn granted(channel: &mut Channel<Msg>) -> bool {
    let answer = async {
        loop {
            match channel.wait().await.unwrap() {
                ChannelMsg::Success => return true,
                ChannelMsg::Failure => return false,
                _ => {}
            }
        }
    };
    tokio::time::timeout(LONG, answer).await.unwrap()
}

/// Everything that is printed, and how it ends.
async fn all(channel: &mut Channel<Msg>) -> (String, Option<u32>) {
    let (mut text, mut code) = (Vec::new(), None);
    let told = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => text.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
                _ => {}
            }
        }
    };
    tokio::time::timeout(LONG, told).await.unwrap();
    (String::from_utf8_lossy(&text).into_owned(), code)
}

#[tokio::test]
async fn attack_42_channels_are_limited_and_given_back() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    let mut open = Vec::new();
    while let Ok(channel) = client.channel_open_session().await {
        open.push(channel);
        assert!(open.len() <= MOST_CHANNELS);
    }
    assert_eq!(open.len(), MOST_CHANNELS);
    let mut one = open.pop().unwrap();
    one.exec(true, "exit 3").await.unwrap();
    assert_eq!(all(&mut one).await.1, Some(3));
    let mut next = client.channel_open_session().await.unwrap();
    assert!(client.channel_open_session().await.is_err());
    next.exec(true, "exit 4").await.unwrap();
    assert_eq!(all(&mut next).await.1, Some(4));
}

#[tokio::test]
async fn attack_42_requests_out_of_place_are_refused_and_the_session_goes_on() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.window_change(1, 1, 1, 1).await.unwrap();
    channel.request_subsystem(true, "x").await.unwrap();
    assert!(!granted(&mut channel).await);
    channel
        .request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0)
        .await
        .unwrap();
    assert!(!granted(&mut channel).await);
    channel.request_shell(true).await.unwrap();
    assert!(granted(&mut channel).await);
    for _ in 0..2 {
        channel.exec(true, "echo never").await.unwrap();
        assert!(!granted(&mut channel).await);
        channel
            .request_pty(true, "x", 1, 1, 1, 1, &[])
            .await
            .unwrap();
        assert!(!granted(&mut channel).await);
        channel.set_env(true, "LANG", "C").await.unwrap();
        assert!(!granted(&mut channel).await);
    }
    channel
        .data(&b"echo still here; exit 6\n"[..])
        .await
        .unwrap();
    assert_eq!(
        all(&mut channel).await,
        ("still here\n".to_owned(), Some(6))
    );
}

#[tokio::test]
async fn attack_42_terminal_with_absurd_modes_and_size_is_a_terminal() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    let mut channel = client.channel_open_session().await.unwrap();
    let modes = [
        (Pty::VINTR, u32::MAX),
        (Pty::VEOF, 256),
        (Pty::VSTATUS, 1),
        (Pty::VDSUSP, 7),
        (Pty::ECHO, u32::MAX),
        (Pty::CS7, 1),
        (Pty::CS8, 1),
        (Pty::PARENB, 9),
        (Pty::TTY_OP_ISPEED, 0),
        (Pty::TTY_OP_OSPEED, u32::MAX),
        (Pty::IUTF8, 1),
    ];
    channel
        .request_pty(true, "../../x", u32::MAX, 0, u32::MAX, u32::MAX, &modes)
        .await
        .unwrap();
    assert!(granted(&mut channel).await);
    channel.window_change(0, u32::MAX, 0, 0).await.unwrap();
    channel
        .exec(true, "stty size; echo $TERM; stty -a | grep -o 'cs[0-9]'")
        .await
        .unwrap();
    assert_eq!(
        all(&mut channel).await,
        ("65535 0\r\ndumb\r\ncs8\r\n".to_owned(), Some(0))
    );
}

#[tokio::test]
async fn a_channel_that_is_told_to_hold_says_nothing_until_it_is_told_to_go() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    let mut held = client.channel_open_session().await.unwrap();
    held.exec(true, "cat").await.unwrap();
    assert!(granted(&mut held).await);
    let word = |name: &str| Sig::Custom(name.to_owned());
    held.signal(word("HOLD@gitpod.io")).await.unwrap();
    held.data(&b"typed\n"[..]).await.unwrap();
    held.eof().await.unwrap();
    for _ in 0..3 {
        let mut other = client.channel_open_session().await.unwrap();
        other.exec(true, "sleep 0.1; echo other").await.unwrap();
        assert_eq!(all(&mut other).await.0, "other\n");
    }
    let nothing = tokio::time::timeout(Duration::ZERO, held.wait()).await;
    assert!(
        !matches!(nothing, Ok(Some(ChannelMsg::Data { .. }))),
        "{nothing:?}"
    );
    held.signal(word("GO@gitpod.io")).await.unwrap();
    assert_eq!(all(&mut held).await, ("typed\n".to_owned(), Some(0)));
}

#[tokio::test]
async fn attack_43_flood_of_variables_changes_nothing() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    let mut channel = client.channel_open_session().await.unwrap();
    for number in 0..500 {
        channel
            .set_env(false, format!("LC_{number}"), "x".repeat(4096))
            .await
            .unwrap();
    }
    channel.set_env(false, "LD_PRELOAD", "/x.so").await.unwrap();
    channel
        .exec(true, "env | grep -c ^LC_; env | grep -c ^LD_PRELOAD")
        .await
        .unwrap();
    assert_eq!(all(&mut channel).await.0, "64\n0\n");
}

#[tokio::test]
async fn attack_43_command_with_a_nul_is_refused() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, &b"echo a\0b"[..]).await.unwrap();
    assert!(!granted(&mut channel).await);
    assert!(ssh.lets_in(&[]).await);
}

#[tokio::test]
async fn sftp_that_is_sent_garbage_ends_alone() {
    let ssh = Ssh::start().await;
    let client = log_in(&ssh).await;
    for garbage in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\0",
        b"\0\0\0\x01\x01",
        b"\0\0\0\x05\xff\0\0\0\x07",
        b"\0\0\0\x09\x03\0\0\0\x07\xff\xff\xff\xff",
        b"\0\0\0\x0d\xc8\0\0\0\x07\xff\xff\xff\xffabcd",
    ] {
        let mut channel = client.channel_open_session().await.unwrap();
        channel.request_subsystem(true, "sftp").await.unwrap();
        channel.data(garbage).await.unwrap();
        channel.eof().await.unwrap();
        assert!(all(&mut channel).await.1.is_some(), "{garbage:?}");
    }
    assert!(ssh.lets_in(&[]).await);
}

#[tokio::test]
async fn attack_41_garbage_instead_of_a_greeting_and_too_many_clients() {
    let ssh = Ssh::start().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 100_000],
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = UnixStream::connect(ssh.path("ssh.sock")).unwrap();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        tokio::task::spawn_blocking(move || stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .ok();
    }
    let silent: Vec<_> = (0..MOST_CONNECTIONS)
        .map(|_| UnixStream::connect(ssh.path("ssh.sock")).unwrap())
        .collect();
    assert!(!ssh.lets_in(&[]).await, "there is no place for one more");
    drop(silent);
    let again = async { while !ssh.lets_in(&[]).await {} };
    tokio::time::timeout(LONG, again).await.unwrap();
}
