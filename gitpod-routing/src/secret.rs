//! Text that must not be shown.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The token that gives its holder the rights of a workspace's owner.
///
/// Prints as `***`, compares in constant time, and is wiped from memory when it is
/// dropped; every clone is a copy of its own. An empty token, as a workspace has before one was made
/// for it, matches nothing.
#[derive(Clone)]
pub struct OwnerToken(Zeroizing<Box<str>>);

impl OwnerToken {
    /// Keeps `token`.
    #[must_use]
    pub fn new(token: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// Whether `presented` is this token. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        let expected = self.0.as_bytes();
        !expected.is_empty() && bool::from(expected.ct_eq(presented))
    }

    /// The token itself. For handing it to its owner, never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_token_matches_nothing() {
        assert!(!OwnerToken::new("").matches(b""));
        assert!(OwnerToken::new("s3cret").matches(b"s3cret"));
        assert!(!OwnerToken::new("s3cret").matches(b"s3cre"));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", OwnerToken::new("s3cret")), "***");
    }
}
