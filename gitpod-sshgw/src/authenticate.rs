//! From a user name and a credential to a proof that somebody may come in.

use std::sync::Arc;

use gitpod_routing::{
    Lookup, OwnerToken, RunState, WorkspaceId, WorkspaceInfo, WorkspaceInfoProvider,
};

use crate::authenticator::{SshAuthenticator, Verdict};
use crate::code::ErrorCode;
use crate::credential::Credential;
#[cfg(feature = "server")]
use crate::credential::Right;
use crate::login::{LoginName, SessionTarget};

/// Finds the workspace a client asks for, and decides whether it may come in.
///
/// Every request of a client is decided anew, by what is known of the workspace
/// then. Cloning copies pointers.
///
/// # Rules
///
/// Under [`Rules::Improved`], the default, who has not proved anything learns
/// nothing: there is one refusal, [`Refusal::Continue`], whether the workspace is
/// unknown, stopped, or not theirs, and the authenticator is asked in each case. A key
/// that is only offered is [asked to sign](Accepted::KeyWouldDo) whatever it is and
/// whatever the name is: public keys are public, and who has copied one shall not find
/// out with it what exists.
/// Somebody who proves to be admitted to a workspace that does not run is let in,
/// so that she can be told: see [`Authenticated::is_running`].
///
/// [`Rules::Reference`] denies at once whatever does not run.
#[derive(Clone, Debug)]
pub struct Authenticate {
    provider: Arc<dyn WorkspaceInfoProvider>,
    authenticator: Arc<dyn SshAuthenticator>,
    rules: Rules,
}

/// Whose rules are followed where ours are better.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rules {
    /// Ours.
    #[default]
    Improved,
    /// Those of the reference system, for comparing with it.
    Reference,
}

impl Authenticate {
    /// Finds workspaces with `provider`, and lets `authenticator` decide.
    #[must_use]
    pub fn new(
        provider: Arc<dyn WorkspaceInfoProvider>,
        authenticator: Arc<dyn SshAuthenticator>,
    ) -> Self {
        Self {
            provider,
            authenticator,
            rules: Rules::Improved,
        }
    }

    /// With other `rules`.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Decides one authentication request.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says whether the client may go on, and what to count.
    pub async fn attempt(
        &self,
        user_name: &str,
        credential: Credential<'_>,
    ) -> Result<Accepted, Refusal> {
        if let (Rules::Improved, Credential::OfferedKey(_)) = (self.rules, credential) {
            return Ok(Accepted::KeyWouldDo);
        }
        let result = match LoginName::parse(user_name, credential.name_form()) {
            Ok(login) => self.decide(&login, credential).await,
            Err(why) => Err(Refusal::Denied(why.code())),
        };
        match (self.rules, result) {
            (Rules::Improved, Err(Refusal::Denied(code))) => Err(Refusal::Continue(code)),
            (_, result) => result,
        }
    }

    async fn decide(
        &self,
        login: &LoginName,
        credential: Credential<'_>,
    ) -> Result<Accepted, Refusal> {
        let found = match (self.look_up(&login.id).await, self.rules) {
            (Ok(Some(info)), _) if info.state == RunState::Running => Ok(info),
            (Ok(Some(info)), Rules::Improved) => Ok(info),
            (Ok(Some(_)), Rules::Reference) => Err(ErrorCode::NotRunning),
            (Ok(None), _) => Err(ErrorCode::NotFound),
            (Err(_), _) => Err(ErrorCode::Other),
        };
        let info = match (found, self.rules) {
            (Ok(info), _) => info,
            (Err(code), Rules::Reference) => return Err(Refusal::Denied(code)),
            (Err(code), Rules::Improved) => {
                self.ask_in_vain(login, &credential).await;
                return Err(Refusal::Denied(code));
            }
        };
        let decided = self.authenticator.decide(login, &credential, &info).await;
        match decided.map_err(|_| Refusal::Denied(ErrorCode::Other))? {
            Verdict::Admit => Ok(accepted(login, &credential, info)),
            Verdict::Continue => Err(Refusal::Continue(code_of(login, &credential))),
            Verdict::Deny => Err(Refusal::Denied(ErrorCode::AuthFailed)),
        }
    }

    /// Takes the time of a decision about a workspace that does not exist, so that
    /// its absence cannot be told from a wrong key.
    async fn ask_in_vain(&self, login: &LoginName, credential: &Credential<'_>) {
        let Ok(nothing) = "nothing".parse() else {
            return;
        };
        let decoy = WorkspaceInfo::new(login.id.clone(), nothing, OwnerToken::new(""));
        drop(self.authenticator.decide(login, credential, &decoy).await);
    }

    /// Whether what let `session` in would let it in now.
    #[cfg(feature = "server")]
    pub(crate) async fn again(&self, session: &Authenticated, right: &Right) -> Standing {
        let info = match self.look_up(&session.info.id).await {
            Ok(Some(info)) => info,
            Ok(None) => return Standing::Gone(RunState::Stopped),
            Err(_) => return Standing::Unknown,
        };
        if info.instance != session.info.instance || info.state != session.info.state {
            return Standing::Gone(info.state);
        }
        let (login, credential) = right.as_request();
        match self.authenticator.decide(login, &credential, &info).await {
            Ok(Verdict::Admit) => Standing::Stands,
            Ok(_) => Standing::Revoked,
            Err(_) => Standing::Unknown,
        }
    }

    /// The proof and the right of who was let in by `right` while the workspace did not
    /// run, for the run that was started for her: `None` if they open it no longer.
    ///
    /// A run has a token of its own. Whoever had that of the run before is its owner.
    #[cfg(feature = "server")]
    pub(crate) async fn carry(
        &self,
        before: &Authenticated,
        right: &Right,
        runs: &WorkspaceInfo,
    ) -> Option<(Authenticated, Right)> {
        let info = self.look_up(&before.info.id).await.ok()??;
        if info.instance != runs.instance || info.state != RunState::Running {
            return None;
        }
        let right = right.after(&before.info.owner_token, &info.owner_token);
        let (login, credential) = right.as_request();
        let decided = self.authenticator.decide(login, &credential, &info).await;
        let is_in = matches!(decided, Ok(Verdict::Admit));
        let target = before.target;
        is_in.then_some((Authenticated { info, target }, right))
    }

    async fn look_up(&self, id: &WorkspaceId) -> Lookup {
        match self.provider.cached(id) {
            Some(found) => found,
            None => self.provider.workspace_info(id).await,
        }
    }
}

/// What became of the permission that a session began with.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// It would be let in again.
    Stands,
    /// The workspace is gone, or is another run of it, or runs no longer; how far it is now.
    Gone(RunState),
    /// The workspace is as before, but this credential opens it no longer.
    Revoked,
    /// Nobody knows.
    Unknown,
}

fn accepted(login: &LoginName, credential: &Credential<'_>, info: Arc<WorkspaceInfo>) -> Accepted {
    match credential {
        Credential::OfferedKey(_) => Accepted::KeyWouldDo,
        Credential::None | Credential::Password(_) | Credential::SignedKey(_) => {
            Accepted::LoggedIn(Authenticated {
                info,
                target: login.target,
            })
        }
    }
}

/// Asking what methods there are is no failed login.
fn code_of(login: &LoginName, credential: &Credential<'_>) -> ErrorCode {
    match (credential, &login.token) {
        (Credential::None, None) => ErrorCode::Other,
        _ => ErrorCode::AuthFailed,
    }
}

/// What a client has achieved with one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Accepted {
    /// It is in.
    LoggedIn(Authenticated),
    /// It may be, if it signs with the key it offered.
    KeyWouldDo,
}

/// Proof that somebody was let into a workspace. Only [`Authenticate`] makes it,
/// and only with it a workspace's SSH server is reached.
#[derive(Clone, Debug)]
pub struct Authenticated {
    info: Arc<WorkspaceInfo>,
    target: SessionTarget,
}

impl Authenticated {
    /// The workspace, as it was known then.
    #[must_use]
    pub const fn info(&self) -> &Arc<WorkspaceInfo> {
        &self.info
    }

    /// Whether the workspace ran then. It may not: somebody who proves that she may
    /// use it is told so, instead of being refused as a stranger is.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.info.state == RunState::Running
    }

    /// Which system of it.
    #[must_use]
    pub const fn target(&self) -> SessionTarget {
        self.target
    }

    /// For the conformance suites, which need proofs that nobody gave.
    #[cfg(all(feature = "testing", feature = "server"))]
    pub(crate) const fn assumed(info: Arc<WorkspaceInfo>) -> Self {
        Self {
            info,
            target: SessionTarget::Workspace,
        }
    }
}

/// Why a request let nobody in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The client may try something else.
    #[error("not admitted by this ({0})")]
    Continue(ErrorCode),
    /// The client may not: the connection is closed.
    #[error("not admitted ({0})")]
    Denied(ErrorCode),
}
