//! Keys and signatures.

use std::fmt;

use ed25519_dalek::{Signer as _, VerifyingKey};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::BoxError;
use crate::fingerprint::write_hex;
use crate::pem::{self, PemError};

/// The private key of an authority: Ed25519. Prints as `***`; wiped when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`] if the system gives none.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::from_seed(&*random()?))
    }

    /// The key of `seed`: 32 bytes that nobody can guess.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads the file `nebula-cert ca` writes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it holds something else, or an encrypted key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let bytes = pem::read_one(pem::SIGNING_KEY, text)?;
        let bytes = Zeroizing::new(exactly::<64>(&bytes)?);
        let key = ed25519_dalek::SigningKey::from_keypair_bytes(&bytes);
        key.map(Self).map_err(|_| KeyError::Mismatch)
    }

    /// The file `nebula-cert` reads. For a file of mode 0600, never for logs.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.to_keypair_bytes());
        Zeroizing::new(pem::write(pem::SIGNING_KEY, &*bytes))
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The private key of a host: X25519. Prints as `***`; wiped when dropped.
///
/// Made on the host and never sent anywhere: an authority signs its public half.
pub struct HostKey(StaticSecret);

impl HostKey {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`] if the system gives none.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::from_bytes(&*random()?))
    }

    /// The key of 32 `bytes` that nobody can guess.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    /// Reads the private file `nebula-cert keygen` writes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it holds something else.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let bytes = pem::read_one(pem::HOST_KEY, text)?;
        Ok(Self::from_bytes(&Zeroizing::new(exactly(&bytes)?)))
    }

    /// The file `nebula` reads. For a file of mode 0600, never for logs.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::write(pem::HOST_KEY, self.0.as_bytes()))
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A public key: X25519 of a host, Ed25519 of an authority. Prints as hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a host's public file, as `nebula-cert keygen` writes it.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it holds something else, such as the private key.
    pub fn from_host_pem(text: &str) -> Result<Self, KeyError> {
        Ok(Self(exactly(&pem::read_one(pem::HOST_PUBLIC_KEY, text)?)?))
    }

    /// As a host's public file, for `nebula-cert sign -in-pub`.
    #[must_use]
    pub fn to_host_pem(&self) -> String {
        pem::write(pem::HOST_PUBLIC_KEY, &self.0)
    }

    /// As an authority's public file.
    #[must_use]
    pub fn to_authority_pem(&self) -> String {
        pem::write(pem::SIGNING_PUBLIC_KEY, &self.0)
    }

    /// Whether `signature` is that of `message` by this key's owner. Keys and
    /// signatures of which several count as one, and weak keys, never are.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// An Ed25519 signature. Prints as hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    let filled = OsRng.try_fill_bytes(&mut *bytes);
    filled.map_err(|why| KeyError::NoRandomness(why.into()))?;
    Ok(bytes)
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KeyError> {
    bytes.try_into().map_err(|_| KeyError::Length {
        expected: N,
        found: bytes.len(),
    })
}

/// A key cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not a file of that kind of key.
    #[error("not a key file")]
    Pem(#[from] PemError),
    /// The file holds too much or too little.
    #[error("key has {found} bytes, not {expected}")]
    Length {
        /// How many bytes such a key has.
        expected: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// The public half in the file does not belong to the private one.
    #[error("halves of the signing key do not belong together")]
    Mismatch,
    /// The system gave no random numbers.
    #[error("system gave no random numbers")]
    NoRandomness(#[source] BoxError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_print_as_stars() {
        assert_eq!(format!("{:?}", SigningKey::from_seed(&[7; 32])), "***");
        assert_eq!(format!("{:?}", HostKey::from_bytes(&[7; 32])), "***");
    }

    #[test]
    fn files_round_trip_and_generated_keys_differ() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert_ne!(
            SigningKey::generate().unwrap().public_key(),
            key.public_key()
        );

        let host = HostKey::generate().unwrap();
        let again = HostKey::from_pem(&host.to_pem()).unwrap();
        assert_eq!(again.public_key(), host.public_key());
        let public = PublicKey::from_host_pem(&host.public_key().to_host_pem()).unwrap();
        assert_eq!(public, host.public_key());
    }

    #[test]
    fn a_private_key_is_no_public_key() {
        let host = HostKey::from_bytes(&[7; 32]);
        let why = PublicKey::from_host_pem(&host.to_pem()).unwrap_err();
        assert!(
            matches!(why, KeyError::Pem(PemError::Label { .. })),
            "{why:?}"
        );
    }

    #[test]
    fn halves_that_do_not_belong_together_are_refused() {
        let key = SigningKey::from_seed(&[7; 32]);
        let mut bytes = pem::read_one(pem::SIGNING_KEY, &key.to_pem()).unwrap();
        bytes[0] ^= 1;
        let why = SigningKey::from_pem(&pem::write(pem::SIGNING_KEY, &bytes)).unwrap_err();
        assert!(matches!(why, KeyError::Mismatch), "{why:?}");
    }
}
