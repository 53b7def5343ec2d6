//! Tokens that let a host join once.

use std::fmt;

use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Lets one host join, once. Only its hash is kept.
///
/// 256 random bits, so that guessing is no way in. Prints `***`.
#[derive(Clone)]
pub struct EnrollmentToken(Zeroizing<String>);

/// Tells people and scanners for leaked secrets what it is.
const PREFIX: &str = "gwt_";

impl EnrollmentToken {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn generate() -> Result<Self, NoRandom> {
        let mut bits = Zeroizing::new([0; 32]);
        OsRng.try_fill_bytes(&mut *bits).map_err(|_| NoRandom)?;
        let mut text = Zeroizing::new(PREFIX.to_owned());
        bits.iter()
            .for_each(|byte| text.push_str(&format!("{byte:02x}")));
        Ok(Self(text))
    }

    /// One that somebody shows. Whether it is any good is seen when it is used.
    #[must_use]
    pub fn shown(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// Its text, for whoever is to use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its SHA-256, in hexadecimal digits: what may be kept of it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for EnrollmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrollmentToken(***)")
    }
}

/// The system has no random numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("system has no random numbers")]
#[non_exhaustive]
pub struct NoRandom;
