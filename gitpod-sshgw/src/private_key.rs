//! Private keys: of hosts, of a certificate authority, for workspaces' servers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use gitpod_routing::BoxError;
use russh::keys::ssh_key::{Algorithm, LineEnding};
use russh::keys::{decode_secret_key, key::safe_rng};
use zeroize::Zeroizing;

use crate::public_key::PublicKey;

/// A private key. Prints as `***` beside its public half; cloning copies a pointer.
///
/// ```
/// # use gitpod_sshgw::PrivateKey;
/// let key = PrivateKey::generate()?;
/// let text = key.to_openssh()?; // for a file of mode 0600
/// let again: PrivateKey = text.parse()?;
/// assert_eq!(again.public_key(), key.public_key());
/// # Ok::<(), gitpod_sshgw::PrivateKeyError>(())
/// ```
#[derive(Clone)]
pub struct PrivateKey {
    key: Arc<russh::keys::PrivateKey>,
    public: PublicKey,
}

impl PrivateKey {
    /// A new Ed25519 key.
    ///
    /// # Errors
    ///
    /// [`PrivateKeyError`] if the system has no randomness to give.
    pub fn generate() -> Result<Self, PrivateKeyError> {
        let key = russh::keys::PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519);
        Self::wrap(key.map_err(unusable)?)
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The key as a file in OpenSSH's format, without a passphrase. It is wiped from
    /// memory when it is dropped.
    ///
    /// # Errors
    ///
    /// [`PrivateKeyError`] if it cannot be written so.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        self.key.to_openssh(LineEnding::LF).map_err(unusable)
    }

    /// The key as russh wants it.
    pub(crate) const fn inner(&self) -> &Arc<russh::keys::PrivateKey> {
        &self.key
    }

    fn wrap(key: russh::keys::PrivateKey) -> Result<Self, PrivateKeyError> {
        let blob = key.public_key().to_bytes().map_err(unusable)?;
        let public = PublicKey::from_bytes(&blob).map_err(unusable)?;
        Ok(Self {
            key: Arc::new(key),
            public,
        })
    }
}

impl FromStr for PrivateKey {
    type Err = PrivateKeyError;

    /// Reads a key file without a passphrase: OpenSSH's format, PKCS#8, and older ones.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::wrap(decode_secret_key(text, None).map_err(unusable)?)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(*** of {})", self.public)
    }
}

fn unusable(why: impl Into<BoxError>) -> PrivateKeyError {
    PrivateKeyError(why.into())
}

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("not a usable private key; `ssh-keygen -t ed25519 -N ''` makes one")]
pub struct PrivateKeyError(#[source] BoxError);
