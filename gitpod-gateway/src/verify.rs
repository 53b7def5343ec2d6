//! Deciding whom to trust.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::authority::{AuthorityError, check_authority};
use crate::certificate::{Certificate, CertificateError, Details};
use crate::constraint::{self, ConstraintError};
use crate::fingerprint::Fingerprint;

/// The authorities a host trusts, and the certificates it does not trust any more.
///
/// Authorities whose life is over may stay in it: what they signed is refused,
/// what the others signed is not. A blocked fingerprint cuts off a host; to cut
/// off an authority, leave it out.
#[derive(Clone, Debug, Default)]
pub struct TrustBundle {
    authorities: BTreeMap<Fingerprint, Certificate>,
    blocked: BTreeSet<Fingerprint>,
}

impl TrustBundle {
    /// Trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file of certificates of authorities.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if one cannot be read, or is no authority's.
    pub fn from_pem(text: &str) -> Result<Self, TrustError> {
        let mut bundle = Self::new();
        for certificate in Certificate::all_from_pem(text)? {
            bundle.trust(certificate)?;
        }
        Ok(bundle)
    }

    /// Trusts what `authority` signed.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] if it is no authority's certificate.
    pub fn trust(&mut self, authority: Certificate) -> Result<(), AuthorityError> {
        check_authority(&authority)?;
        self.authorities.insert(authority.fingerprint(), authority);
        Ok(())
    }

    /// Distrusts the certificate of `fingerprint`, whoever signed it.
    pub fn block(&mut self, fingerprint: Fingerprint) {
        self.blocked.insert(fingerprint);
    }

    /// The authorities, in the order of their fingerprints.
    pub fn authorities(&self) -> impl Iterator<Item = &Certificate> {
        self.authorities.values()
    }

    /// Whether `certificate` is a host's that is to be trusted at `now`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] says why it is not.
    pub fn verify<'a>(
        &'a self,
        certificate: &'a Certificate,
        now: Timestamp,
    ) -> Result<Verified<'a>, VerifyError> {
        if self.blocked.contains(&certificate.fingerprint()) {
            return Err(VerifyError::Blocked);
        }
        let host = certificate.details();
        let issuer = host.issuer.ok_or(VerifyError::IsAuthority)?;
        let authority = self.authorities.get(&issuer);
        let authority = authority.ok_or(VerifyError::UnknownAuthority(issuer))?;
        if !authority.is_valid_at(now) {
            return Err(VerifyError::AuthorityExpired);
        }
        if !certificate.is_signed_by(&authority.details().public_key) {
            return Err(VerifyError::BadSignature);
        }
        check_life(host, now)?;
        constraint::check(host, authority.details())?;
        Ok(Verified {
            certificate,
            authority,
        })
    }
}

fn check_life(details: &Details, now: Timestamp) -> Result<(), VerifyError> {
    if now < details.not_before {
        Err(VerifyError::NotYetValid)
    } else if now > details.not_after {
        Err(VerifyError::Expired)
    } else {
        Ok(())
    }
}

/// A host's certificate that was verified, at the time that was asked about.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    certificate: &'a Certificate,
    authority: &'a Certificate,
}

impl<'a> Verified<'a> {
    /// What it says, which now may be believed.
    #[must_use]
    pub const fn details(&self) -> &'a Details {
        self.certificate.details()
    }

    /// Who signed it.
    #[must_use]
    pub const fn authority(&self) -> &'a Certificate {
        self.authority
    }
}

/// Why a certificate is not to be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is on the blocklist.
    #[error("certificate is blocked")]
    Blocked,
    /// It is an authority's: those are trusted by being in the bundle, and not otherwise.
    #[error("certificate is an authority's, not a host's")]
    IsAuthority,
    /// Its issuer is not trusted.
    #[error("authority {0} is not trusted")]
    UnknownAuthority(Fingerprint),
    /// The life of its issuer is over, or has not begun.
    #[error("authority is not valid now")]
    AuthorityExpired,
    /// Its issuer has not signed it, or something else than it says.
    #[error("signature does not match")]
    BadSignature,
    /// Its life has not begun.
    #[error("certificate is not yet valid")]
    NotYetValid,
    /// Its life is over.
    #[error("certificate has expired")]
    Expired,
    /// It says more than its issuer may say.
    #[error("authority may not sign this")]
    Constraint(#[from] ConstraintError),
}

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A certificate cannot be read.
    #[error("unreadable certificate")]
    Certificate(#[from] CertificateError),
    /// A certificate is no authority's.
    #[error("certificate of no authority")]
    Authority(#[from] AuthorityError),
}
