//! What strangers, users and workspaces may try. Each test has the number of its class.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gitpod_routing::MemoryProvider;
use gitpod_sshgw::{
    Authenticate, Authenticated, ErrorCode, Gateway, Heard, OwnerAuthenticator, PrivateKey,
    SshLimits, Upstream, UpstreamConnector, UpstreamError, UpstreamLogin, UserCa,
};
use russh::client::AuthResult;
use russh::keys::{HashAlg, agent::AgentIdentity, signature::Signer as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::peer::{Hostile, connect, logged_in, plain, try_key};
use crate::support::{
    ID, STOPPED, Served, Sshd, UNKNOWN, eventually, info, run, served, served_with, whoami,
    write_private,
};

/// Signs as somebody else than it says.
struct Forger(PrivateKey);

impl russh::Signer for Forger {
    type Error = russh::AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature = plain(&self.0).try_sign(&to_sign).unwrap();
        let mut encoded = Vec::new();
        let blob = signature.as_bytes();
        for part in [b"ssh-ed25519".as_slice(), blob] {
            encoded.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            encoded.extend(part);
        }
        let mut packet = to_sign;
        packet.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
        packet.extend(encoded);
        Ok(packet)
    }
}

#[tokio::test]
async fn attack_37_who_offers_the_owner_s_key_and_signs_with_another_is_not_let_in() {
    let served = served().await;
    let (mut handle, _) = connect(&served).await;
    let mallory = PrivateKey::generate().unwrap();
    let owners = plain(&served.key).public_key().clone();
    let mut forger = Forger(mallory.clone());
    let forged = handle.authenticate_publickey_with(ID, owners, None, &mut forger);
    let forged = forged.await.unwrap();
    assert!(matches!(forged, AuthResult::Failure { .. }), "{forged:?}");
    // What was accepted as an offer opens nothing for what follows.
    let own = try_key(&mut handle, ID, &mallory).await;
    assert!(matches!(own, AuthResult::Failure { .. }), "{own:?}");
    let none = handle.authenticate_none(ID).await.unwrap();
    assert!(matches!(none, AuthResult::Failure { .. }), "{none:?}");
    assert!(handle.channel_open_session().await.is_err());
    let right = try_key(&mut connect(&served).await.0, ID, &served.key).await;
    assert!(right.success());
}

#[tokio::test]
async fn attack_38_names_that_are_none_are_refused_like_any_other() {
    let served = served().await;
    let long = "a".repeat(65_536);
    for name in [
        "",
        "#",
        "##",
        "-oProxyCommand=x",
        "../etc",
        "a\0b",
        "ключ",
        "x\nadmitted",
        &long,
    ] {
        let (mut handle, _) = connect(&served).await;
        let tried = try_key(&mut handle, name, &served.key).await;
        let AuthResult::Failure {
            remaining_methods, ..
        } = tried
        else {
            panic!("{name:?}")
        };
        assert_eq!(remaining_methods.len(), 2, "{name:?}");
    }
}

#[tokio::test]
async fn attack_39_a_stranger_cannot_tell_workspaces_apart_by_answer_or_time() {
    let served = served().await;
    let stranger = PrivateKey::generate().unwrap();
    let mut took = Vec::new();
    for name in [ID, STOPPED, UNKNOWN, "root"] {
        let (mut handle, _) = connect(&served).await;
        let mut answers = Vec::new();
        let begun = Instant::now();
        answers.push(try_key(&mut handle, name, &stranger).await);
        answers.push(handle.authenticate_password(name, "guess").await.unwrap());
        let token = format!("{name}#guess");
        answers.push(handle.authenticate_none(token).await.unwrap());
        took.push(begun.elapsed());
        for answer in answers {
            let AuthResult::Failure {
                remaining_methods,
                partial_success,
            } = answer
            else {
                panic!("{name}: {answer:?}")
            };
            let names: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
            assert_eq!(
                (&names[..], partial_success),
                (&["publickey", "password"][..], false)
            );
        }
    }
    // Each refusal takes what is set for it, whatever there was to look up.
    let least = SshLimits::default().refusal_time * 3;
    assert!(took.iter().all(|took| *took >= least), "{took:?}");
}

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

#[tokio::test]
async fn attack_41_attempts_are_few_by_whatever_method() {
    let served = served().await;
    let (mut handle, _) = connect(&served).await;
    let _ = handle.authenticate_none(ID).await.unwrap();
    let mut refused = 0;
    while refused < 100 {
        let asked = handle
            .authenticate_keyboard_interactive_start(ID, None)
            .await;
        match asked {
            Ok(russh::client::KeyboardInteractiveAuthResponse::Failure { .. }) => refused += 1,
            _ => break,
        }
    }
    assert_eq!(refused, SshLimits::default().login_attempts);
    eventually("it is told as one that failed", || {
        matches!(
            served.sessions.heard()[..],
            [Heard::NotAdmitted(ErrorCode::Other)]
        )
    })
    .await;
}

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

/// A gateway whose workspaces are reached with `connector`.
async fn served_by(connector: impl UpstreamConnector) -> Served {
    let connector = Arc::new(connector);
    served_with(SshLimits::default(), |gateway| {
        let workspaces = MemoryProvider::new();
        let key = PrivateKey::generate().unwrap();
        workspaces.insert(info(ID, &key).running_at([10, 0, 0, 7].into()));
        let owner = Arc::new(OwnerAuthenticator::new());
        let authenticate = Authenticate::new(Arc::new(workspaces), owner);
        let keys = [PrivateKey::generate().unwrap()];
        drop(gateway);
        Gateway::new(authenticate, connector).with_host_keys(keys)
    })
    .await
}

#[tokio::test]
async fn attack_43_a_workspace_opens_nothing_towards_a_client_that_did_not_ask() {
    let hostile = Hostile::new();
    let served = served_by(hostile.clone()).await;
    let (mut handle, client) = connect(&served).await;
    let login = handle.authenticate_password(ID, "s3cret").await.unwrap();
    assert!(login.success());
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, "anything").await.unwrap();
    let ended = async { while channel.wait().await.is_some() {} };
    timeout(Duration::from_secs(20), ended).await.unwrap();
    let attempts = hostile.attempts.lock().unwrap().clone();
    assert_eq!(attempts.len(), 6);
    assert!(attempts.iter().all(|(_, done)| !done), "{attempts:?}");
    assert_eq!(client.opened.load(Ordering::Relaxed), 0);
}

/// Logs in to an sshd with what a test says.
#[derive(Debug)]
struct Differently(Sshd, UpstreamLogin);

#[async_trait]
impl UpstreamConnector for Differently {
    async fn connect(&self, _: &Authenticated) -> Result<Upstream, UpstreamError> {
        Ok(Upstream::new(self.0.dial(), self.1.clone()))
    }
}

async fn refused_by_workspace(sshd: Sshd, login: UpstreamLogin) {
    let served = served_by(Differently(sshd, login)).await;
    let mut ssh = served.ssh_as(&format!("{ID}#s3cret"), &["-o", "PubkeyAuthentication=no"]);
    let ran = run(ssh.arg("echo entered")).await;
    assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(1)), "{ran:?}");
    assert!(ran.stderr.contains("cannot be entered"), "{ran:?}");
}

#[tokio::test]
async fn attack_44_a_workspace_with_another_host_key_is_not_logged_in_to() {
    let dir = tempfile::tempdir().unwrap();
    let sshd = Sshd::new(dir.path());
    let another = PrivateKey::generate().unwrap().public_key().clone();
    let certificate = sshd.ca.certify(&whoami(), SystemTime::now()).unwrap();
    let login = UpstreamLogin::new(whoami(), certificate, another);
    refused_by_workspace(sshd, login).await;
}

#[tokio::test]
async fn attack_46_certificates_of_another_ca_time_or_name_open_no_workspace() {
    let hour = Duration::from_secs(3600);
    let (now, user) = (SystemTime::now(), whoami());
    let foreign = UserCa::new(PrivateKey::generate().unwrap());
    for wrong in ["ca", "expired", "future", "name", "plain key"] {
        let dir = tempfile::tempdir().unwrap();
        let sshd = Sshd::new(dir.path());
        let host_key = sshd.host_key.clone();
        let certificate = match wrong {
            "ca" => foreign.certify(&user, now),
            "expired" => sshd.ca.certify(&user, now - hour),
            "future" => sshd.ca.certify(&user, now + hour),
            _ => sshd.ca.certify("somebody", now),
        };
        let certificate = certificate.unwrap();
        let login = match wrong {
            "plain key" => UpstreamLogin::new(user.clone(), certificate.key().clone(), host_key),
            _ => UpstreamLogin::new(user.clone(), certificate, host_key),
        };
        refused_by_workspace(sshd, login).await;
    }
}

#[tokio::test]
async fn attack_46_a_user_s_certificate_is_worth_nothing_to_the_gateway() {
    let served = served().await;
    // Signed by whomever, for a key that nobody listed.
    let ca = UserCa::new(PrivateKey::generate().unwrap());
    let certificate = ca.certify(ID, SystemTime::now()).unwrap();
    write_private(
        &served.path("other"),
        &certificate.key().to_openssh().unwrap(),
    );
    std::fs::write(
        served.path("other-cert.pub"),
        certificate.to_openssh().unwrap(),
    )
    .unwrap();
    let key = served.path("other").display().to_string();
    std::fs::remove_file(served.path("key")).unwrap();
    let ran = run(served.ssh(&["-i", &key]).arg("true")).await;
    assert_eq!(ran.code, Some(255), "{ran:?}");
    assert!(
        ran.stderr
            .contains("Permission denied (publickey,password)"),
        "{ran:?}"
    );
}
