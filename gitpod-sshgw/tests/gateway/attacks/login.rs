//! Who tries to be let in.

use std::collections::BTreeMap;
use std::time::SystemTime;

use gitpod_sshgw::{ErrorCode, Heard, PrivateKey, SshLimits, UserCa};
use russh::client::AuthResult;
use russh::keys::{HashAlg, agent::AgentIdentity, signature::Signer as _};
use tokio::time::Instant;

use crate::peer::{connect, plain, try_key};
use crate::support::{ID, STOPPED, UNKNOWN, eventually, run, served, write_private};

/// Signs as somebody else than it says.
struct Forger {
    key: PrivateKey,
    /// How often it was asked to.
    signed: usize,
}

impl Forger {
    fn new(key: &PrivateKey) -> Self {
        Self {
            key: key.clone(),
            signed: 0,
        }
    }
}

impl russh::Signer for Forger {
    type Error = russh::AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        self.signed += 1;
        let signature = plain(&self.key).try_sign(&to_sign).unwrap();
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
    let mut forger = Forger::new(&mallory);
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

#[tokio::test]
async fn attack_39_a_stranger_with_a_copied_public_key_cannot_tell_what_exists() {
    let served = served().await;
    let stranger = PrivateKey::generate().unwrap();
    let mut asked_to_sign = BTreeMap::new();
    for name in [ID, STOPPED, UNKNOWN, "root"] {
        for (whose, key) in [("owner's", &served.key), ("nobody's", &stranger)] {
            let (mut handle, _) = connect(&served).await;
            let offered = plain(key).public_key().clone();
            let mut forger = Forger::new(&stranger);
            let tried = handle.authenticate_publickey_with(name, offered, None, &mut forger);
            let tried = tried.await.unwrap();
            // Of the key that is her own, the signature is right.
            assert!(matches!(tried, AuthResult::Failure { .. }), "{tried:?}");
            asked_to_sign.insert((name, whose), forger.signed);
        }
    }
    assert!(
        asked_to_sign.values().all(|times| *times == 1),
        "{asked_to_sign:?}"
    );
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
async fn attack_41_guesses_are_six_for_who_does_not_ask_for_methods_first() {
    let served = served().await;
    let (mut handle, _) = connect(&served).await;
    let mut refused = 0;
    while let Ok(AuthResult::Failure { .. }) = handle.authenticate_password(ID, "guess").await {
        refused += 1;
        assert!(refused < 100, "it goes on and on");
    }
    assert_eq!(refused, SshLimits::default().login_attempts);
    eventually("the connection is closed", || handle.is_closed()).await;
}

#[tokio::test]
async fn attack_41_the_right_password_after_six_wrong_ones_is_too_late() {
    let served = served().await;
    let (mut handle, _) = connect(&served).await;
    for _ in 0..6 {
        let _ = handle.authenticate_password(ID, "guess").await;
    }
    let late = handle.authenticate_password(ID, "s3cret").await;
    assert!(!matches!(late, Ok(AuthResult::Success)), "{late:?}");
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
