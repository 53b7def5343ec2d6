//! Who may log in to a workspace that is known and runs.

use std::fmt;

use async_trait::async_trait;
use gitpod_routing::{BoxError, WorkspaceInfo};

use crate::authorized_keys;
use crate::credential::Credential;
use crate::login::LoginName;

/// Decides whether a credential lets its bearer into a workspace.
///
/// [`Authenticate`](crate::Authenticate) calls it for each authentication request
/// of a client, up to seven for each connection, after it found the workspace and
/// saw that it runs. [`OwnerAuthenticator`] admits the owner; implement this to
/// ask your own users' directory.
///
/// # Contract
///
/// - [`Verdict::Admit`]: the bearer is the owner, or as good. For an
///   [`OfferedKey`](Credential::OfferedKey), about which only
///   [`Rules::Reference`](crate::Rules::Reference) asks: that key, signed, would be.
/// - [`Verdict::Continue`]: not by this; another method may do.
/// - [`Verdict::Deny`]: not by anything; the connection is closed.
/// - `Err(_)`: not known. The connection is closed, and nothing is remembered.
/// - Sharing a workspace ([`Admission::Everyone`](gitpod_routing::Admission)) does
///   not open its shell, and an owner token that is empty matches nothing.
///
/// `info` is seconds old at most. The future may be dropped at any await point.
/// Compare secrets in constant time.
///
/// # Source
///
/// Methods and their results: SSH authentication protocol (RFC 4252).
#[async_trait]
pub trait SshAuthenticator: fmt::Debug + Send + Sync + 'static {
    /// Whether `credential` beside `login` opens workspace `info`.
    ///
    /// # Errors
    ///
    /// [`AuthenticatorError`] if that is not known; see the contract.
    async fn decide(
        &self,
        login: &LoginName,
        credential: &Credential<'_>,
        info: &WorkspaceInfo,
    ) -> Result<Verdict, AuthenticatorError>;
}

/// What an [`SshAuthenticator`] decides.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Let in.
    Admit,
    /// Not by this.
    Continue,
    /// Not by anything.
    Deny,
}

/// Admits whoever has the owner's token, as part of the name or as password, or
/// one of the workspace's public keys. All it needs is in the workspace's record.
///
/// | method | wrong |
/// |---|---|
/// | `none`, name with token | [`Deny`](Verdict::Deny) |
/// | `none`, name alone | [`Continue`](Verdict::Continue) |
/// | `password`, `publickey` | [`Continue`](Verdict::Continue) |
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OwnerAuthenticator;

impl OwnerAuthenticator {
    /// Admits the owner.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl SshAuthenticator for OwnerAuthenticator {
    async fn decide(
        &self,
        login: &LoginName,
        credential: &Credential<'_>,
        info: &WorkspaceInfo,
    ) -> Result<Verdict, AuthenticatorError> {
        let lists =
            |blob| authorized_keys::lists(info.ssh_public_keys.iter().map(AsRef::as_ref), blob);
        let (admitted, otherwise) = match (credential, &login.token) {
            (Credential::None, None) => (false, Verdict::Continue),
            (Credential::None, Some(token)) => (
                info.owner_token.matches(token.expose().as_bytes()),
                Verdict::Deny,
            ),
            (Credential::Password(password), _) => {
                (info.owner_token.matches(password), Verdict::Continue)
            }
            (Credential::OfferedKey(blob), _) => (lists(blob), Verdict::Continue),
            (Credential::SignedKey(key), _) => (lists(key.as_bytes()), Verdict::Continue),
        };
        Ok(if admitted { Verdict::Admit } else { otherwise })
    }
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticatorError {
    /// Whoever knows did not answer, or answered with an error.
    #[error("directory of users did not answer")]
    Unreachable(#[source] BoxError),
}
