//! Who is let in, who may try again, and whose connection is closed.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gitpod_routing::{
    Admission, MemoryProvider, OwnerToken, ProviderError, RunState, WorkspaceId, WorkspaceInfo,
    WorkspaceInfoProvider,
};
use gitpod_sshgw::{
    Accepted, Authenticate, Credential, ErrorCode, OwnerAuthenticator, Refusal, Rules,
    SessionTarget, SignedKey,
};

const ID: &str = "pink-panda-ns35kd21";
const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519 alice's";

fn workspace(token: &str) -> WorkspaceInfo {
    let token = OwnerToken::new(token);
    let info = WorkspaceInfo::new(ID.parse().unwrap(), "instance".parse().unwrap(), token);
    let mut info = info.running_at([10, 0, 0, 7].into());
    let line = format!("ssh-ed25519 {} alice", STANDARD.encode(KEY));
    info.ssh_public_keys = vec!["not a key".into(), line.into()];
    info
}

fn gate(info: WorkspaceInfo) -> Authenticate {
    let provider = MemoryProvider::new();
    provider.insert(info);
    Authenticate::new(Arc::new(provider), Arc::new(OwnerAuthenticator::new()))
}

#[tokio::test]
async fn token_password_and_signed_key_let_in() {
    let gate = gate(workspace("s3cret"));
    for (name, credential) in [
        ("pink-panda-ns35kd21#s3cret", Credential::None),
        (ID, Credential::Password(b"s3cret")),
        (ID, Credential::SignedKey(SignedKey::verified(KEY))),
    ] {
        let accepted = gate.attempt(name, credential).await.unwrap();
        let Accepted::LoggedIn(proof) = accepted else {
            panic!("{credential:?}: {accepted:?}")
        };
        assert_eq!(proof.info().id.as_str(), ID);
        assert_eq!(proof.target(), SessionTarget::Workspace);
    }
}

#[tokio::test]
async fn attack_37_an_offered_key_lets_nobody_in() {
    let offered = gate(workspace("s3cret"))
        .attempt(ID, Credential::OfferedKey(KEY))
        .await;
    assert!(matches!(offered, Ok(Accepted::KeyWouldDo)), "{offered:?}");
}

#[tokio::test]
async fn sharing_a_workspace_does_not_open_its_shell() {
    let gate = gate(workspace("s3cret").with_admission(Admission::Everyone));
    let nothing = gate.attempt(ID, Credential::None).await;
    assert_eq!(nothing.err(), Some(Refusal::Continue(ErrorCode::Other)));
    let guess = gate.attempt(ID, Credential::Password(b"guess")).await;
    assert_eq!(guess.err(), Some(Refusal::Continue(ErrorCode::AuthFailed)));
}

#[tokio::test]
async fn a_workspace_without_a_token_admits_no_empty_one() {
    let gate = gate(workspace(""));
    let in_name = gate.attempt("pink-panda-ns35kd21#", Credential::None).await;
    assert_eq!(
        in_name.err(),
        Some(Refusal::Continue(ErrorCode::AuthFailed))
    );
    let password = gate.attempt(ID, Credential::Password(b"")).await;
    assert_eq!(
        password.err(),
        Some(Refusal::Continue(ErrorCode::AuthFailed))
    );
}

fn stopped() -> WorkspaceInfo {
    let mut info = workspace("s3cret");
    info.state = RunState::Stopped;
    info
}

#[tokio::test]
async fn what_is_not_a_running_workspace_closes_the_connection_by_the_reference_s_rules() {
    let gate = gate(stopped()).with_rules(Rules::Reference);
    for (name, code) in NOT_RUNNING {
        let refused = gate.attempt(name, Credential::Password(b"s3cret")).await;
        assert_eq!(refused.err(), Some(Refusal::Denied(code)), "{name:?}");
    }
}

#[tokio::test]
async fn attack_39_a_stranger_gets_one_answer_whatever_there_is() {
    let gate = gate(stopped());
    for (name, _) in NOT_RUNNING {
        let refused = gate.attempt(name, Credential::Password(b"guess")).await;
        assert!(matches!(refused, Err(Refusal::Continue(_))), "{name:?}");
        for key in [KEY, b"another"] {
            let offered = gate.attempt(name, Credential::OfferedKey(key)).await;
            assert!(matches!(offered, Ok(Accepted::KeyWouldDo)), "{name:?}");
        }
    }
}

#[tokio::test]
async fn the_owner_of_a_stopped_workspace_is_let_in_to_be_told() {
    let signed = Credential::SignedKey(SignedKey::verified(KEY));
    let accepted = gate(stopped()).attempt(ID, signed).await;
    let Ok(Accepted::LoggedIn(proof)) = accepted else {
        panic!("{accepted:?}")
    };
    assert!(!proof.is_running());
}

/// Names beside a stopped workspace, and what is counted for them.
const NOT_RUNNING: [(&str, ErrorCode); 6] = [
    (ID, ErrorCode::NotRunning),
    ("pink-panda-zzzzzzzz", ErrorCode::NotFound),
    ("8080-pink-panda-ns35kd21", ErrorCode::NotFound),
    ("root", ErrorCode::InvalidId),
    ("", ErrorCode::InvalidId),
    ("pink-panda-ns35kd21\r\nx", ErrorCode::NotFound),
];

#[derive(Debug)]
struct Loading;

#[async_trait]
impl WorkspaceInfoProvider for Loading {
    async fn workspace_info(
        &self,
        _: &WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceInfo>>, ProviderError> {
        Err(ProviderError::NotReady)
    }
}

#[tokio::test]
async fn a_provider_that_does_not_know_lets_nobody_in_without_blame() {
    let gate = Authenticate::new(Arc::new(Loading), Arc::new(OwnerAuthenticator::new()));
    let refused = gate.attempt(ID, Credential::None).await;
    assert_eq!(refused.err(), Some(Refusal::Continue(ErrorCode::Other)));
}
