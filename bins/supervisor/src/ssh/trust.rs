use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use thiserror::Error;

/// The name under which everybody logs in, and which a certificate must be for.
pub(super) const USER: &str = "gitpod";

/// Who may log in.
#[derive(Debug)]
pub(super) struct Trust {
    user_ca: Option<KeyData>,
    keys: Vec<KeyData>,
}

/// What somebody who logged in may do, beside running programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rights {
    pub(super) terminal: bool,
    pub(super) forward_ports: bool,
    pub(super) forward_agent: bool,
}

/// Why somebody may not. It is logged; the client only hears that it failed.
#[derive(Debug, Eq, Error, PartialEq)]
pub(super) enum NotTrusted {
    #[error("the user name is not `{USER}`")]
    User,
    #[error("the key is not a known one")]
    UnknownKey,
    #[error("certificates are not accepted here")]
    NoAuthority,
    #[error("the certificate is signed by another authority")]
    OtherAuthority,
    #[error("the certificate is not signed with {}", Algorithm::Ed25519)]
    SignatureAlgorithm,
    #[error("the signature of the certificate is wrong")]
    Signature,
    #[error("the certificate is one for hosts")]
    HostCertificate,
    #[error("the certificate is not for `{USER}`")]
    Principal,
    #[error("the certificate is not valid yet")]
    TooEarly,
    #[error("the certificate has expired")]
    TooLate,
    #[error("the certificate asks for `{0}`, which is not supported")]
    CriticalOption(String),
}

impl Trust {
    pub(super) fn new(user_ca: Option<KeyData>, keys: Vec<KeyData>) -> Self {
        Self { user_ca, keys }
    }

    /// Whether the holder of a key may log in.
    pub(super) fn key(&self, user: &str, key: &PublicKey) -> Result<Rights, NotTrusted> {
        right_user(user)?;
        match self.keys.contains(key.key_data()) {
            true => Ok(Rights {
                terminal: true,
                forward_ports: true,
                forward_agent: true,
            }),
            false => Err(NotTrusted::UnknownKey),
        }
    }

    /// Whether the holder of a certificate may log in at `now`, in seconds since 1970.
    ///
    /// **Source:** OpenSSH's PROTOCOL.certkeys. An empty list of principals, which there means everybody, is nobody here.
    pub(super) fn certificate(
        &self,
        user: &str,
        certificate: &Certificate,
        now: u64,
    ) -> Result<Rights, NotTrusted> {
        right_user(user)?;
        let authority = self.user_ca.as_ref().ok_or(NotTrusted::NoAuthority)?;
        if certificate.signature_key() != authority {
            return Err(NotTrusted::OtherAuthority);
        }
        if certificate.signature().algorithm() != Algorithm::Ed25519 {
            return Err(NotTrusted::SignatureAlgorithm);
        }
        certificate
            .verify_signature()
            .map_err(|_| NotTrusted::Signature)?;
        if certificate.cert_type() != CertType::User {
            return Err(NotTrusted::HostCertificate);
        }
        if !certificate.valid_principals().iter().any(|it| it == USER) {
            return Err(NotTrusted::Principal);
        }
        if now < certificate.valid_after() {
            return Err(NotTrusted::TooEarly);
        }
        if now >= certificate.valid_before() {
            return Err(NotTrusted::TooLate);
        }
        // None of them is supported, and who does not know one must refuse.
        if let Some(option) = certificate.critical_options().keys().next() {
            return Err(NotTrusted::CriticalOption(option.clone()));
        }
        let permits = |name: &str| certificate.extensions().contains_key(name);
        Ok(Rights {
            terminal: permits("permit-pty"),
            forward_ports: permits("permit-port-forwarding"),
            forward_agent: permits("permit-agent-forwarding"),
        })
    }
}

fn right_user(user: &str) -> Result<(), NotTrusted> {
    match user == USER {
        true => Ok(()),
        false => Err(NotTrusted::User),
    }
}
