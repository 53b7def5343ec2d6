//! Short-lived certificates, with which the gateway logs in to workspaces.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gitpod_routing::BoxError;
use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::{Builder, CertType};

use crate::private_key::{PrivateKey, PrivateKeyError};
use crate::public_key::PublicKey;

/// A certificate authority for users: workspaces' SSH servers trust what it signs.
///
/// Each certificate is for a key of its own, which nobody else ever sees, and is good
/// for one user name and a few minutes: nothing that could be stolen from a workspace
/// opens another one, or the same one later.
///
/// ```
/// # use std::time::SystemTime;
/// # use gitpod_sshgw::{PrivateKey, UserCa};
/// let ca = UserCa::new(PrivateKey::generate()?);
/// let for_sshd = format!("{}", ca.public_key()); // TrustedUserCAKeys
/// let credential = ca.certify("gitpod", SystemTime::now())?;
/// assert!(credential.to_openssh()?.starts_with("ssh-ed25519-cert-v01@openssh.com "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Fields of the certificate: as the reference system's.
#[derive(Clone, Debug)]
pub struct UserCa {
    key: PrivateKey,
}

impl UserCa {
    /// Signs with `key`.
    #[must_use]
    pub const fn new(key: PrivateKey) -> Self {
        Self { key }
    }

    /// What servers must trust.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// A new key, and a certificate with which it logs in as `user`, from
    /// [`SKEW`](Self::SKEW) before `now` until [`LIFETIME`](Self::LIFETIME) after.
    ///
    /// # Errors
    ///
    /// [`UserCaError`] if `now` is before 1970, or there is no randomness.
    pub fn certify(&self, user: &str, now: SystemTime) -> Result<UserCertificate, UserCaError> {
        let key = PrivateKey::generate()?;
        let now = now.duration_since(UNIX_EPOCH).map_err(cannot_sign)?;
        let from = now.saturating_sub(Self::SKEW).as_secs();
        let until = now.saturating_add(Self::LIFETIME).as_secs();
        let nonce: [u8; 32] = rand::random();
        let subject = key.inner().public_key().key_data().clone();
        let mut builder = Builder::new(nonce, subject, from, until).map_err(cannot_sign)?;
        fill(&mut builder, user).map_err(cannot_sign)?;
        let certificate = builder.sign(self.key.inner().as_ref());
        let certificate = certificate.map_err(cannot_sign)?;
        Ok(UserCertificate { key, certificate })
    }

    /// How much a workspace's clock may be behind.
    pub const SKEW: Duration = Duration::from_secs(10 * 60);
    /// How long a certificate is good for. A session that it opened lasts longer.
    pub const LIFETIME: Duration = Duration::from_secs(10 * 60);
}

fn fill(builder: &mut Builder, user: &str) -> russh::keys::ssh_key::Result<()> {
    builder.serial(0)?.cert_type(CertType::User)?;
    builder.key_id("ws-proxy")?.valid_principal(user)?;
    for permission in PERMISSIONS {
        builder.extension(permission, "")?;
    }
    Ok(())
}

/// What sessions may do. In this order: the encoding must be sorted.
const PERMISSIONS: [&str; 5] = [
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];

/// A key and the certificate for it.
#[derive(Clone)]
pub struct UserCertificate {
    key: PrivateKey,
    certificate: Certificate,
}

impl UserCertificate {
    /// The key that is certified.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The certificate as a line of a `-cert.pub` file.
    ///
    /// # Errors
    ///
    /// [`UserCaError`] if it cannot be written so.
    pub fn to_openssh(&self) -> Result<String, UserCaError> {
        self.certificate.to_openssh().map_err(cannot_sign)
    }

    pub(crate) const fn inner(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Debug for UserCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserCertificate")
            .field("key", &self.key)
            .field("principals", &self.certificate.valid_principals())
            .finish()
    }
}

fn cannot_sign(why: impl Into<BoxError>) -> UserCaError {
    UserCaError::Certificate(why.into())
}

/// There is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserCaError {
    /// No key could be made.
    #[error("no key for a certificate")]
    Key(#[from] PrivateKeyError),
    /// It could not be made or written.
    #[error("certificate could not be made")]
    Certificate(#[source] BoxError),
}
