//! What every implementation of this crate's traits must do.

#[cfg(feature = "server")]
use std::sync::Arc;

use gitpod_routing::{Admission, IdError, OwnerToken, RunState, WorkspaceId, WorkspaceInfo};
#[cfg(feature = "server")]
use tokio::io::AsyncReadExt as _;

#[cfg(feature = "server")]
use crate::authenticate::Authenticated;
use crate::authenticator::{AuthenticatorError, SshAuthenticator, Verdict};
use crate::credential::{Credential, SignedKey};
use crate::login::{LoginName, LoginNameError, NameForm};
#[cfg(feature = "server")]
use crate::{
    code::ErrorCode,
    login::SessionTarget,
    observer::{LoginMethod, SessionEnd, SessionInfo, SessionObserver, SessionSummary},
    policy::{ChannelAsk, ChannelPolicy},
    upstream::{UpstreamConnector, UpstreamError},
};

/// Checks what `authenticator` must refuse, whomever it admits: those who present
/// nothing, nothing in the place of an empty token, or somebody else's.
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
pub async fn check_authenticator(authenticator: &dyn SshAuthenticator) -> Result<(), Violation> {
    let foreign = b"\0\0\0\x0bssh-ed25519 nobody's";
    for token in ["", "a-token-that-is-nobody's"] {
        for admission in [Admission::Owner, Admission::Everyone] {
            let info = workspace(token)?.with_admission(admission);
            for (name, credential, rule) in [
                (ID, Credential::None, "nothing admits nobody"),
                (
                    WITH_EMPTY_TOKEN,
                    Credential::None,
                    "an empty token admits nobody",
                ),
                (
                    WITH_WRONG_TOKEN,
                    Credential::None,
                    "a wrong token admits nobody",
                ),
                (
                    ID,
                    Credential::Password(b""),
                    "an empty password admits nobody",
                ),
                (
                    ID,
                    Credential::Password(b"wrong"),
                    "a wrong password admits nobody",
                ),
                (
                    ID,
                    Credential::OfferedKey(foreign),
                    "a foreign key does not do",
                ),
                (
                    ID,
                    Credential::SignedKey(SignedKey::verified(foreign)),
                    "a foreign key admits nobody",
                ),
                (
                    ID,
                    Credential::SignedKey(SignedKey::verified(b"")),
                    "an empty key admits nobody",
                ),
            ] {
                let login = LoginName::parse(name, credential.name_form())?;
                let verdict = authenticator.decide(&login, &credential, &info).await?;
                require(verdict != Verdict::Admit, rule)?;
            }
        }
    }
    asking_for_methods_continues(authenticator).await
}

async fn asking_for_methods_continues(
    authenticator: &dyn SshAuthenticator,
) -> Result<(), Violation> {
    let login = LoginName::parse(ID, NameForm::MayCarryToken)?;
    let info = workspace("token")?;
    let verdict = authenticator
        .decide(&login, &Credential::None, &info)
        .await?;
    require(
        verdict == Verdict::Continue,
        "who presents nothing may go on",
    )
}

/// Checks that `connector` reaches the SSH server of `reachable`, twice and
/// independently, and none of `absent`, which has none. Servers must greet.
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
#[cfg(feature = "server")]
pub async fn check_upstream_connector(
    connector: &dyn UpstreamConnector,
    reachable: Arc<WorkspaceInfo>,
    absent: Arc<WorkspaceInfo>,
) -> Result<(), Violation> {
    let reachable = Authenticated::assumed(reachable);
    let (mut first, _) = connector.connect(&reachable).await?.into_parts();
    let (mut second, _) = connector.connect(&reachable).await?.into_parts();
    for connection in [&mut second, &mut first] {
        let mut greeting = [0; 4];
        let read = connection.read_exact(&mut greeting).await;
        require(
            read.is_ok() && &greeting == b"SSH-",
            "the server speaks first on each connection",
        )?;
    }
    let absent = connector.connect(&Authenticated::assumed(absent)).await;
    require(
        absent.is_err(),
        "where there is no server there is no connection",
    )
}

/// Checks that `policy` refuses what nobody may ask for, whatever else it allows, and
/// gives the same answer twice.
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
#[cfg(feature = "server")]
pub fn check_channel_policy(policy: &dyn ChannelPolicy) -> Result<(), Violation> {
    let who = Authenticated::assumed(Arc::new(workspace("token")?));
    for name in HARMFUL {
        let allowed = policy.allows(&who, &ChannelAsk::Variable(name));
        require(!allowed, "a variable that changes what runs is refused")?;
    }
    let dial = ChannelAsk::Dial {
        host: "localhost",
        port: 22,
    };
    for what in [ChannelAsk::Session, ChannelAsk::Shell, dial] {
        let same = policy.allows(&who, &what) == policy.allows(&who, &what);
        require(same, "the same question gets the same answer")?;
    }
    Ok(())
}

/// Checks that `observer` hears of many sessions without keeping the gateway waiting.
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
#[cfg(feature = "server")]
pub fn check_session_observer(observer: &dyn SessionObserver) -> Result<(), Violation> {
    let begun = tokio::time::Instant::now();
    let peer = ([192, 0, 2, 1], 2200).into();
    let info = workspace("token")?;
    for number in 0..SESSIONS {
        observer.not_admitted(peer, ErrorCode::AuthFailed);
        let session = SessionInfo {
            number,
            peer,
            workspace: info.id.clone(),
            instance: info.instance.clone(),
            target: SessionTarget::Workspace,
            method: LoginMethod::Key,
        };
        observer.opened(&session);
        let summary = SessionSummary {
            lasted: std::time::Duration::ZERO,
            bytes_up: 0,
            bytes_down: 0,
            channels: 0,
            end: SessionEnd::Client,
        };
        observer.closed(&session, &summary);
    }
    let quick = begun.elapsed() < std::time::Duration::from_secs(1);
    require(quick, "an observer returns at once")
}

#[cfg(feature = "server")]
const SESSIONS: u64 = 100;

#[cfg(feature = "server")]
const HARMFUL: [&str; 6] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "PATH",
    "BASH_ENV",
    "IFS",
    "LC_ALL=C\nLD_PRELOAD",
];

fn workspace(token: &str) -> Result<WorkspaceInfo, IdError> {
    let id: WorkspaceId = ID.parse()?;
    let mut info = WorkspaceInfo::new(id, "instance".parse()?, OwnerToken::new(token));
    info.state = RunState::Running;
    info.ssh_public_keys = vec!["not a key".into(), "".into(), "ssh-ed25519 AAAA".into()];
    Ok(info)
}

fn require(kept: bool, rule: &'static str) -> Result<(), Violation> {
    if kept {
        Ok(())
    } else {
        Err(Violation::Rule(rule))
    }
}

const ID: &str = "pink-panda-ns35kd21";
const WITH_EMPTY_TOKEN: &str = "pink-panda-ns35kd21#";
const WITH_WRONG_TOKEN: &str = "pink-panda-ns35kd21#wrong";

/// What an implementation does wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It breaks a rule of the contract.
    #[error("rule broken: {0}")]
    Rule(&'static str),
    /// It did not decide.
    #[error("authenticator failed")]
    Authenticator(#[from] AuthenticatorError),
    /// It did not connect.
    #[cfg(feature = "server")]
    #[error("connector failed")]
    Upstream(#[from] UpstreamError),
    /// The suite's own example is wrong.
    #[error("example of the suite is unusable")]
    Name(#[from] LoginNameError),
    /// The suite's own example is wrong.
    #[error("example of the suite is unusable")]
    Id(#[from] IdError),
}
