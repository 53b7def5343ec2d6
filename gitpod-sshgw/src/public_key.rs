//! Public keys as OpenSSH writes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::authorized_keys;

/// A public key: its type and its SSH encoding, without a comment.
///
/// Read from and written as a line `ssh-ed25519 AAAA…`. What the key is good for is
/// not checked; two are equal if their encodings are.
///
/// ```
/// # use gitpod_sshgw::PublicKey;
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMKS0vO9DUgnh7hO7EaUYVTIyx5uzu2eUHKy8qWZ0BF alice@home";
/// let key: PublicKey = line.parse()?;
/// assert_eq!(key.kind(), "ssh-ed25519");
/// assert!(line.starts_with(&key.to_string()));
/// # Ok::<(), gitpod_sshgw::PublicKeyError>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct PublicKey {
    kind: Box<str>,
    blob: Box<[u8]>,
}

impl PublicKey {
    /// Reads the SSH encoding.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError`] if it does not begin with the name of a type.
    pub fn from_bytes(blob: &[u8]) -> Result<Self, PublicKeyError> {
        let kind = authorized_keys::kind_of(blob).ok_or(PublicKeyError)?;
        Ok(Self {
            kind: kind.into(),
            blob: blob.into(),
        })
    }

    /// Its type, such as `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its SSH encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.blob
    }

    /// Whether `blob` is its SSH encoding. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, blob: &[u8]) -> bool {
        self.blob.ct_eq(blob).into()
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let blob = authorized_keys::read_line(line).ok_or(PublicKeyError)?;
        Self::from_bytes(&blob)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, STANDARD.encode(&self.blob))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("not a public key; a line such as `ssh-ed25519 AAAA…` is one")]
pub struct PublicKeyError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_can_be_written_and_what_is_no_key_is_refused() {
        let line =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMKS0vO9DUgnh7hO7EaUYVTIyx5uzu2eUHKy8qWZ0BF";
        let key: PublicKey = format!("{line} comment\n").parse().unwrap();
        assert_eq!(key.to_string(), line);
        assert!(key.matches(key.as_bytes()));
        assert!(!key.matches(b""));
        for text in ["", "ssh-ed25519", "ssh-rsa AAAA", "no-pty ssh-ed25519 AAAA"] {
            assert_eq!(text.parse::<PublicKey>(), Err(PublicKeyError), "{text:?}");
        }
        assert!(PublicKey::from_bytes(b"\0\0\0\x0b").is_err());
    }
}
