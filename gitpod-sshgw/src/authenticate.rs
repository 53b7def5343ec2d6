//! From a user name and a credential to a proof that somebody may come in.

use std::sync::Arc;

use gitpod_routing::{RunState, WorkspaceId, WorkspaceInfo, WorkspaceInfoProvider};

use crate::authenticator::{SshAuthenticator, Verdict};
use crate::code::ErrorCode;
use crate::credential::Credential;
use crate::login::{LoginName, SessionTarget};

/// Finds the workspace a client asks for, and decides whether it may come in.
///
/// Every request of a client is decided anew, by what is known of the workspace
/// then. Cloning copies pointers.
#[derive(Clone, Debug)]
pub struct Authenticate {
    provider: Arc<dyn WorkspaceInfoProvider>,
    authenticator: Arc<dyn SshAuthenticator>,
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
        }
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
        let login = LoginName::parse(user_name, credential.name_form());
        let login = login.map_err(|why| Refusal::Denied(why.code()))?;
        let info = self.locate(&login.id).await?;
        let decided = self.authenticator.decide(&login, &credential, &info).await;
        match decided.map_err(|_| Refusal::Denied(ErrorCode::Other))? {
            Verdict::Admit => Ok(accepted(&login, &credential, info)),
            Verdict::Continue => Err(Refusal::Continue(code_of(&login, &credential))),
            Verdict::Deny => Err(Refusal::Denied(ErrorCode::AuthFailed)),
        }
    }

    async fn locate(&self, id: &WorkspaceId) -> Result<Arc<WorkspaceInfo>, Refusal> {
        let found = match self.provider.cached(id) {
            Some(found) => found,
            None => self.provider.workspace_info(id).await,
        };
        match found {
            Ok(Some(info)) if info.state == RunState::Running => Ok(info),
            Ok(Some(_)) => Err(Refusal::Denied(ErrorCode::NotRunning)),
            Ok(None) => Err(Refusal::Denied(ErrorCode::NotFound)),
            Err(_) => Err(Refusal::Denied(ErrorCode::Other)),
        }
    }
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
    /// It would be, if it signed with the key it offered.
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
