//! Who says something before anybody was let in.

use std::time::Duration;

use gitpod_sshgw::{PrivateKey, SshLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::peer::{connect, logged_in, try_key};
use crate::support::{ID, Served, eventually, served, served_with};

/// What the gateway says first to one who says `hello`, and all it says then.
async fn raw(served: &Served, hello: &[u8]) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(hello).await.unwrap();
    let mut said = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await;
    let _ = read.expect("it stays"); // a reset is an end too
    (said, begun.elapsed())
}

fn impatient() -> SshLimits {
    let mut limits = SshLimits::default();
    (limits.login_grace, limits.recheck) = (Duration::from_millis(500), Duration::from_millis(100));
    limits
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).unwrap();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

/// A proposal of one algorithm each, with strict key exchange.
fn kexinit() -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    let cipher = "aes128-gcm@openssh.com";
    let kex = "curve25519-sha256,kex-strict-c-v00@openssh.com";
    for list in [
        kex,
        "ssh-ed25519",
        cipher,
        cipher,
        "",
        "",
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
        payload.extend(list.as_bytes());
    }
    payload.extend([0; 5]);
    payload
}

#[tokio::test]
async fn attack_40_what_is_offered_is_strict_and_nothing_weak() {
    let served = served_with(impatient(), |gateway| gateway).await;
    let (said, _) = raw(&served, b"SSH-2.0-test\r\n").await;
    let offered = String::from_utf8_lossy(&said);
    assert!(
        offered.starts_with("SSH-2.0-GITPOD-GATEWAY\r\n"),
        "{offered}"
    );
    assert!(
        offered.contains("kex-strict-s-v00@openssh.com"),
        "{offered}"
    );
    for weak in [
        "sha1",
        "cbc",
        "nistp",
        "group1",
        "zlib",
        "ssh-rsa,",
        "hmac-sha2-256,",
        "arcfour",
    ] {
        assert!(!offered.contains(weak), "{weak} in {offered}");
    }
}

#[tokio::test]
async fn attack_40_a_packet_before_the_key_exchange_ends_a_strict_one() {
    let served = served().await;
    let ignored = packet(&[2, 0, 0, 0, 0]);
    let hello = [
        b"SSH-2.0-test\r\n".as_slice(),
        &ignored,
        &packet(&kexinit()),
    ]
    .concat();
    let (_, took) = raw(&served, &hello).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn attack_41_who_does_not_speak_ssh_is_sent_away() {
    let served = served_with(impatient(), |gateway| gateway).await;
    let huge = [
        b"SSH-2.0-test\r\n".as_slice(),
        &[0x7f, 0xff, 0xff, 0xff, 4, 20],
    ]
    .concat();
    let lines = b"a line before\r\nSSH-2.0-test\r\n".repeat(100);
    let endless = [b'x'; 10_000];
    let floods = [
        b"SSH-2.0-test\r\n".to_vec(),
        packet(&[2; 30_000]).repeat(20),
    ]
    .concat();
    for hello in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &lines,
        &endless,
        &huge,
        &floods,
    ] {
        let (said, took) = raw(&served, hello).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(said.starts_with(b"SSH-2.0-") || said.is_empty());
    }
}

#[tokio::test]
async fn attack_41_who_says_nothing_or_little_is_sent_away_in_time() {
    let served = served_with(impatient(), |gateway| gateway).await;
    for hello in [
        &b""[..],
        b"SSH-2",
        b"SSH-2.0-test\r\n",
        b"SSH-2.0-test\r\n\0\0",
    ] {
        let (_, took) = raw(&served, hello).await;
        assert!(
            took >= Duration::from_millis(450) && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
    let (mut handle, _) = connect(&served).await;
    let stranger = PrivateKey::generate().unwrap();
    let _ = try_key(&mut handle, ID, &stranger).await;
    eventually("who tries for too long is sent away", || handle.is_closed()).await;
}

#[tokio::test]
async fn attack_41_a_source_has_few_connections_before_it_logs_in() {
    let mut limits = SshLimits::default();
    limits.strangers_per_source = 3;
    let served = served_with(limits, |gateway| gateway).await;
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        strangers.push(stream);
    }
    let (said, _) = raw(&served, b"").await;
    assert_eq!(said, b"", "the fourth is not even greeted");
    drop(strangers.pop());
    eventually_greets(&served).await;
    // Who logs in takes no stranger's place.
    let (handle, _) = logged_in(&served).await;
    eventually_greets(&served).await;
    drop(handle);
}

async fn eventually_greets(served: &Served) {
    let greeted = async {
        loop {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            if stream.read_exact(&mut [0; 4]).await.is_ok() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), greeted).await.unwrap();
}
