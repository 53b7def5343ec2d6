//! Signing certificates.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::certificate::{Certificate, Details};
use crate::constraint::{self, ConstraintError};
use crate::request::{AuthorityRequest, HostRequest};
use crate::signer::{CaSigner, SignerError};

/// Signs certificates of hosts: a certificate of its own, and whoever holds its key.
///
/// It signs what every verifier would accept, and nothing else. Cloning copies
/// pointers.
#[derive(Clone, Debug)]
pub struct Authority {
    certificate: Arc<Certificate>,
    signer: Arc<dyn CaSigner>,
}

impl Authority {
    /// How long before `now` a host's life begins, so that hosts whose clocks are
    /// a little behind accept each other.
    pub const BACKDATE: Duration = Duration::from_secs(60);

    /// An authority that exists, from its certificate and its key.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] if the certificate is no authority's, or of another key.
    pub fn new(
        certificate: Certificate,
        signer: Arc<dyn CaSigner>,
    ) -> Result<Self, AuthorityError> {
        check_authority(&certificate)?;
        if certificate.details().public_key != signer.public_key() {
            return Err(AuthorityError::OtherKey);
        }
        Ok(Self {
            certificate: Arc::new(certificate),
            signer,
        })
    }

    /// A new authority, whose certificate the key signs for itself.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the request names nobody, or the key does not sign.
    pub async fn create(
        request: AuthorityRequest,
        signer: Arc<dyn CaSigner>,
        now: Timestamp,
    ) -> Result<Self, SignError> {
        let not_before = whole_second(now)?;
        let details = Details {
            not_after: later(not_before, request.lifetime)?,
            not_before,
            name: checked("name", request.name)?,
            networks: request.networks,
            subnets: request.subnets,
            groups: checked_groups(request.groups)?,
            public_key: signer.public_key(),
            issuer: None,
        };
        let certificate = Arc::new(signed(details, &*signer).await?);
        Ok(Self {
            certificate,
            signer,
        })
    }

    /// Its own certificate: what hosts trust.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs the certificate of a host.
    ///
    /// Its life begins [`BACKDATE`](Self::BACKDATE) before `now`, but not before
    /// the authority's.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the authority's own life has not begun or is over, if the
    /// request asks for more than the authority may give, or if the key does not sign.
    pub async fn sign(
        &self,
        request: HostRequest,
        now: Timestamp,
    ) -> Result<Certificate, SignError> {
        let authority = self.certificate.details();
        if now < authority.not_before {
            return Err(SignError::AuthorityNotYetValid);
        }
        if now > authority.not_after {
            return Err(SignError::AuthorityExpired);
        }
        let details = self.details_of(request, whole_second(now)?)?;
        constraint::check(&details, authority)?;
        signed(details, &*self.signer).await
    }

    fn details_of(&self, request: HostRequest, now: Timestamp) -> Result<Details, SignError> {
        let authority = self.certificate.details();
        let backdated = now.checked_sub(Self::BACKDATE).unwrap_or(Timestamp::MIN);
        let not_after = match request.lifetime {
            Some(lifetime) => later(now, lifetime)?,
            None => just_before(authority.not_after, now),
        };
        Ok(Details {
            name: checked("name", request.name)?,
            networks: vec![request.network],
            subnets: request.subnets,
            groups: checked_groups(request.groups)?,
            not_before: backdated.max(authority.not_before),
            not_after,
            public_key: request.public_key,
            issuer: Some(self.certificate.fingerprint()),
        })
    }
}

/// Whether `certificate` is an authority's, signed by itself.
pub(crate) fn check_authority(certificate: &Certificate) -> Result<(), AuthorityError> {
    let details = certificate.details();
    if !details.is_authority() {
        return Err(AuthorityError::NotAnAuthority);
    }
    match certificate.is_signed_by(&details.public_key) {
        true => Ok(()),
        false => Err(AuthorityError::NotSelfSigned),
    }
}

async fn signed(details: Details, signer: &dyn CaSigner) -> Result<Certificate, SignError> {
    let signature = signer.sign(&details.to_bytes()).await?;
    let certificate = Certificate::new(details, signature);
    if certificate.to_bytes().len() > Certificate::MAX_BYTES {
        return Err(SignError::TooLarge);
    }
    match certificate.is_signed_by(&signer.public_key()) {
        true => Ok(certificate),
        false => Err(SignError::BadSignature),
    }
}

fn whole_second(now: Timestamp) -> Result<Timestamp, SignError> {
    Timestamp::from_second(now.as_second()).map_err(|_| SignError::Lifetime)
}

fn later(start: Timestamp, lifetime: Duration) -> Result<Timestamp, SignError> {
    if lifetime.as_secs() == 0 {
        return Err(SignError::Lifetime);
    }
    let seconds = i64::try_from(lifetime.as_secs()).map_err(|_| SignError::Lifetime)?;
    let end = start.checked_add(SignedDuration::from_secs(seconds));
    end.map_err(|_| SignError::Lifetime)
}

/// One second before `end`, as `nebula-cert sign` does, unless that is before `now`.
fn just_before(end: Timestamp, now: Timestamp) -> Timestamp {
    let before = end.checked_sub(SignedDuration::from_secs(1)).unwrap_or(end);
    if before < now { end } else { before }
}

fn checked_groups(groups: Vec<String>) -> Result<Vec<String>, SignError> {
    groups
        .into_iter()
        .map(|group| checked("group", group))
        .collect()
}

/// Text that firewall rules, DNS and logs can hold.
fn checked(what: &'static str, text: String) -> Result<String, SignError> {
    let usable = !text.trim().is_empty() && text.trim().len() == text.len();
    let plain = !text.contains(|letter: char| letter.is_control() || letter == ',');
    match usable && plain && text.len() <= MAX_TEXT {
        true => Ok(text),
        false => Err(SignError::Text { what, text }),
    }
}

/// Longest name or group in bytes: that of a DNS name, which names become.
const MAX_TEXT: usize = 253;

/// A certificate cannot be an authority's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// It is a host's.
    #[error("certificate is not an authority's")]
    NotAnAuthority,
    /// Its signature is not its own.
    #[error("certificate of the authority is not signed by itself")]
    NotSelfSigned,
    /// It is the certificate of another key.
    #[error("certificate of the authority is for another key")]
    OtherKey,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The authority's life is over.
    #[error("authority has expired")]
    AuthorityExpired,
    /// The authority's life has not begun.
    #[error("authority is not yet valid")]
    AuthorityNotYetValid,
    /// The request asks for more than the authority may give.
    #[error("authority may not sign this")]
    Constraint(#[from] ConstraintError),
    /// A name or group is empty, longer than 253 bytes, begins or ends with a
    /// space, or has a comma or control character.
    #[error("unusable {what} {text:?}")]
    Text {
        /// Which text.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The lifetime is shorter than a second, or ends beyond the year 9999.
    #[error("unusable lifetime")]
    Lifetime,
    /// The certificate would have more than [`Certificate::MAX_BYTES`].
    #[error("certificate would be larger than 65536 bytes")]
    TooLarge,
    /// The key did not sign.
    #[error("certificate was not signed")]
    Signer(#[from] SignerError),
    /// The signer gave a signature that is not that of its key.
    #[error("signature is not of the authority's key")]
    BadSignature,
}
