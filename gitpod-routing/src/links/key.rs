//! Keys that sign links and cookies.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::links::LinkError;

/// A secret that signs links: HMAC with SHA-256.
///
/// Prints as `***`, and is wiped from memory when it is dropped. Keep it where only the
/// proxy can read it: who knows it becomes the owner of every workspace.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; BLOCK]>);

impl SigningKey {
    /// The key with these bytes. They have to be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        for (place, byte) in block.iter_mut().zip(bytes) {
            *place = byte;
        }
        Self(block)
    }

    /// A new key from the system's source of randomness.
    ///
    /// # Errors
    ///
    /// [`LinkError::NoRandomness`] if the system gives none.
    pub fn random() -> Result<Self, LinkError> {
        random_bytes().map(Self::from_bytes)
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new((&*self.0).into());
        mac.update(PURPOSE);
        mac.update(message);
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The key that signs, and the one before it, whose signatures still count.
#[derive(Debug)]
pub(crate) struct KeyRing(RwLock<Keys>);

#[derive(Debug)]
struct Keys {
    current: SigningKey,
    previous: Option<SigningKey>,
}

impl KeyRing {
    pub(crate) fn new(current: SigningKey, previous: Option<SigningKey>) -> Self {
        Self(RwLock::new(Keys { current, previous }))
    }

    pub(crate) fn newest(&self) -> SigningKey {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.current.clone()
    }

    /// The same keys, in a ring of their own.
    pub(crate) fn duplicate(&self) -> Self {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Self::new(keys.current.clone(), keys.previous.clone())
    }

    /// Signs with `next` from now on; the key so far is the previous one.
    pub(crate) fn rotate(&self, next: SigningKey) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.previous = Some(std::mem::replace(&mut keys.current, next));
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.current.mac(message).finalize().into_bytes().into()
    }

    /// Whether one of the keys made `signature` of `message`. Compares in constant time.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let made_by = |key: &SigningKey| key.mac(message).verify_slice(signature).is_ok();
        made_by(&keys.current) || keys.previous.as_ref().is_some_and(made_by)
    }
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], LinkError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|why| LinkError::NoRandomness(why.into()))?;
    Ok(bytes)
}

/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = 32;

/// Bytes that SHA-256 takes at once: a key of that length needs no check.
const BLOCK: usize = 64;

/// So that no signature of something else, made with the same key, counts here.
const PURPOSE: &[u8] = b"gitpod-routing links 1\0";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes([byte; 32])
    }

    #[test]
    fn previous_key_counts_until_the_next_rotation() {
        let ring = KeyRing::new(key(1), None);
        let signature = ring.sign(b"message");
        assert!(ring.verify(b"message", &signature));
        assert!(!ring.verify(b"massage", &signature));
        assert!(!ring.verify(b"message", &signature[..31]));
        ring.rotate(key(2));
        assert!(ring.verify(b"message", &signature));
        assert_ne!(ring.sign(b"message"), signature);
        ring.rotate(key(3));
        assert!(!ring.verify(b"message", &signature));
    }

    #[test]
    fn key_is_not_printed() {
        assert_eq!(format!("{:?}", key(7)), "***");
    }
}
