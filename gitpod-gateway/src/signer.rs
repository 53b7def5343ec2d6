//! Who holds an authority's private key.

use std::fmt;

use async_trait::async_trait;

use crate::BoxError;
use crate::key::{PublicKey, Signature, SigningKey};

/// Signs for an authority, so that its key may live elsewhere: in a key
/// management service, or in a process of its own.
///
/// [`Authority`](crate::Authority) calls it once for each certificate. It is
/// never called to verify. [`MemorySigner`] holds the key itself.
///
/// # Contract
///
/// - [`public_key`](Self::public_key) never changes and costs nothing.
/// - `Ok`: the Ed25519 signature of exactly the given bytes by that key. The
///   authority checks it; a wrong one is never handed out.
/// - `Err`: nothing was signed, or it is not known. Signing again does no harm,
///   as the same bytes have the same signature.
///
/// The future may be dropped at any await point; a signature made then is lost.
/// Implementations should bound their rate and record each signature.
///
/// # Source
///
/// Chosen by us: the smallest operation that Ed25519 keys in hardware offer.
#[async_trait]
pub trait CaSigner: fmt::Debug + Send + Sync + 'static {
    /// The public half of the key that signs.
    fn public_key(&self) -> PublicKey;

    /// The signature of `message`, some hundred bytes.
    ///
    /// # Errors
    ///
    /// [`SignerError`] if there is none; see the contract.
    async fn sign(&self, message: &[u8]) -> Result<Signature, SignerError>;
}

/// A [`CaSigner`] that holds the key in memory.
#[derive(Debug)]
pub struct MemorySigner {
    key: SigningKey,
}

impl MemorySigner {
    /// Signs with `key`.
    #[must_use]
    pub const fn new(key: SigningKey) -> Self {
        Self { key }
    }
}

#[async_trait]
impl CaSigner for MemorySigner {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        Ok(self.key.sign(message))
    }
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// Whoever holds the key cannot be reached now.
    #[error("signing key cannot be reached")]
    Unreachable(#[source] BoxError),
    /// Whoever holds the key will not sign this.
    #[error("signing key refuses to sign: {0}")]
    Refused(String),
}

impl SignerError {
    /// Whether asking again later can help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
