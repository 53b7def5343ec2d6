//! The token that proves the owner of an instance.

use std::fmt;

use gitpod_routing::OwnerToken;
use rand::RngCore;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An [`OwnerToken`] as records keep it.
///
/// Prints as `***`, compares in constant time. Serialising it writes the token
/// itself: what holds it must be readable for nobody else.
#[derive(Clone)]
pub struct Token(OwnerToken);

impl Token {
    /// How many characters a token has.
    pub const LENGTH: usize = 32;

    /// A new token, of [`LENGTH`](Self::LENGTH) characters of
    /// [`ALPHABET`](Self::ALPHABET), each as likely as any other.
    ///
    /// The reference system takes random bytes modulo 65, so that some are a
    /// little more likely (oddity Q28). Here bytes above 194 are thrown away.
    #[must_use]
    pub fn random() -> Self {
        let mut text = String::with_capacity(Self::LENGTH);
        let mut bytes = [0; 2 * Self::LENGTH];
        let mut source = rand::rng();
        while text.len() < Self::LENGTH {
            source.fill_bytes(&mut bytes);
            let fair = bytes.iter().copied().filter(|byte| *byte < FAIR_BYTES);
            text.extend(fair.map(letter).take(Self::LENGTH - text.len()));
        }
        Self::from(text)
    }

    /// Letters that tokens consist of. All may stand in a cookie.
    pub const ALPHABET: &'static [u8; 65] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.";

    /// The text that the reference system makes of random `bytes`: one letter each.
    #[must_use]
    pub fn letters_of(bytes: &[u8]) -> String {
        bytes.iter().copied().map(letter).collect()
    }

    /// The token as routing compares it.
    #[must_use]
    pub fn as_owner_token(&self) -> &OwnerToken {
        &self.0
    }

    /// The token itself. For handing it to its owner, never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// 3 × 65: of the bytes below, each letter gets three.
const FAIR_BYTES: u8 = 195;

fn letter(byte: u8) -> char {
    let at = usize::from(byte) % Token::ALPHABET.len();
    Token::ALPHABET.get(at).copied().map_or('0', char::from)
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(OwnerToken::new(text))
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(OwnerToken::new(text))
    }
}

impl From<OwnerToken> for Token {
    fn from(token: OwnerToken) -> Self {
        Self(token)
    }
}

impl From<Token> for OwnerToken {
    fn from(token: Token) -> Self {
        token.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        let both_empty = self.expose().is_empty() && other.expose().is_empty();
        both_empty || self.0.matches(other.expose().as_bytes())
    }
}

impl Eq for Token {}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_follow_the_alphabet_and_wrap() {
        assert_eq!(
            Token::letters_of(&[0, 10, 36, 62, 63, 64, 65, 255]),
            "0Aa_-.0y"
        );
    }

    #[test]
    fn random_token_is_long_new_and_within_the_alphabet() {
        let token = Token::random();
        assert_eq!(token.expose().len(), Token::LENGTH);
        assert!(token.expose().bytes().all(|b| Token::ALPHABET.contains(&b)));
        assert_ne!(token, Token::random());
        assert_eq!(format!("{token:?}"), "***");
    }

    #[test]
    fn each_letter_gets_the_same_share_of_the_fair_bytes() {
        let mut shares = [0; 256];
        for byte in 0..FAIR_BYTES {
            shares[letter(byte) as usize] += 1;
        }
        assert!(
            Token::ALPHABET
                .iter()
                .all(|letter| shares[usize::from(*letter)] == 3)
        );
    }
}
