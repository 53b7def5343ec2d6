//! How the gateway logs in to a workspace's SSH server, and knows that server.

use crate::private_key::PrivateKey;
use crate::public_key::PublicKey;
use crate::user_ca::UserCertificate;

/// How to log in to one workspace's SSH server.
#[derive(Clone, Debug)]
pub struct UpstreamLogin {
    pub(crate) user: Box<str>,
    pub(crate) credential: UpstreamCredential,
    pub(crate) host_key: HostKey,
}

impl UpstreamLogin {
    /// As `user` with `credential`, to the server that has `host_key` and no other.
    #[must_use]
    pub fn new(
        user: impl Into<Box<str>>,
        credential: impl Into<UpstreamCredential>,
        host_key: PublicKey,
    ) -> Self {
        Self {
            user: user.into(),
            credential: credential.into(),
            host_key: HostKey::Pinned(host_key),
        }
    }

    /// As `user` with `credential`, to whatever server answers.
    ///
    /// Only where the connection itself proves who answers: over a network that
    /// authenticates its members, or a socket that nobody else can listen on.
    #[must_use]
    pub fn with_any_host_key(
        user: impl Into<Box<str>>,
        credential: impl Into<UpstreamCredential>,
    ) -> Self {
        Self {
            user: user.into(),
            credential: credential.into(),
            host_key: HostKey::Any,
        }
    }

    /// The name to log in with.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// With what the gateway logs in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UpstreamCredential {
    /// A short-lived certificate of a [`UserCa`](crate::UserCa).
    Certificate(Box<UserCertificate>),
    /// A key that the server knows.
    Key(PrivateKey),
}

impl From<UserCertificate> for UpstreamCredential {
    fn from(certificate: UserCertificate) -> Self {
        Self::Certificate(Box::new(certificate))
    }
}

impl From<PrivateKey> for UpstreamCredential {
    fn from(key: PrivateKey) -> Self {
        Self::Key(key)
    }
}

/// Which server is the right one.
#[derive(Clone, Debug)]
pub(crate) enum HostKey {
    Pinned(PublicKey),
    Any,
}
