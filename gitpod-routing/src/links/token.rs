//! What links and cookies say, signed.
//!
//! ```text
//! base64url( version 1 | purpose 1 | expires 8 | number 16 | endpoint 1 | port 2 | debug 1
//!            | length of workspace 1 | workspace | path … | signature 32 )
//! ```

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::host::{Endpoint, HostTarget};
use crate::links::LinkError;
use crate::links::key::{KeyRing, SIGNATURE};
use crate::links::path::LocalPath;

/// What a token is good for. One for another purpose is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Hands the owner cookie over, once.
    Open,
    /// Makes a visitor of a share, as often as one likes.
    Share,
    /// In a cookie: is a visitor of a share.
    Visit,
}

/// What is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claims {
    pub(crate) purpose: Purpose,
    /// Whole seconds; what is behind them is cut off.
    pub(crate) expires_at: SystemTime,
    /// Of the link, or of the share.
    pub(crate) number: u128,
    pub(crate) target: HostTarget,
    pub(crate) path: LocalPath,
}

impl Claims {
    /// The token that says this.
    pub(crate) fn sign(&self, keys: &KeyRing) -> String {
        let mut message = self.write();
        let signature = keys.sign(&message);
        message.extend_from_slice(&signature);
        URL_SAFE_NO_PAD.encode(message)
    }

    /// What `token` says, if it was signed here, for `purpose`, and has not expired.
    ///
    /// # Errors
    ///
    /// [`LinkError::Invalid`], or [`LinkError::Expired`] for one that was valid once.
    pub(crate) fn verify(
        token: &[u8],
        purpose: Purpose,
        keys: &KeyRing,
        now: SystemTime,
    ) -> Result<Self, LinkError> {
        if token.len() > LONGEST {
            return Err(LinkError::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| LinkError::Invalid)?;
        let (message, signature) = bytes
            .len()
            .checked_sub(SIGNATURE)
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or(LinkError::Invalid)?;
        if !keys.verify(message, signature) {
            return Err(LinkError::Invalid);
        }
        let claims = Self::read(message).ok_or(LinkError::Invalid)?;
        match claims.purpose == purpose {
            true if now < claims.expires_at => Ok(claims),
            true => Err(LinkError::Expired),
            false => Err(LinkError::Invalid),
        }
    }

    fn write(&self) -> Vec<u8> {
        let since_epoch = self.expires_at.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since_epoch.map_or(0, |since| since.as_secs());
        let (endpoint, port) = match self.target.endpoint {
            Endpoint::Ide => (0, 0),
            Endpoint::Port(number) => (1, number),
        };
        let id = self.target.workspace.as_str().as_bytes();
        let mut out = vec![VERSION, self.purpose.code()];
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.push(endpoint);
        out.extend_from_slice(&port.to_be_bytes());
        out.push(u8::from(self.target.debug));
        out.push(u8::try_from(id.len()).unwrap_or(u8::MAX)); // at most 45
        out.extend_from_slice(id);
        out.extend_from_slice(self.path.as_str().as_bytes());
        out
    }

    fn read(message: &[u8]) -> Option<Self> {
        let mut rest = message;
        let [version, purpose] = take(&mut rest)?;
        let expires = Duration::from_secs(u64::from_be_bytes(take(&mut rest)?));
        let number = u128::from_be_bytes(take(&mut rest)?);
        let [endpoint] = take(&mut rest)?;
        let port = u16::from_be_bytes(take(&mut rest)?);
        let [debug, length] = take(&mut rest)?;
        let (id, path) = rest.split_at_checked(length.into())?;
        let workspace = str::from_utf8(id).ok()?.parse().ok()?;
        let mut target = match (endpoint, port) {
            (0, 0) => HostTarget::ide(workspace),
            (1, 1..) => HostTarget::port(workspace, port),
            _ => return None,
        };
        target.debug = match debug {
            0 => false,
            1 => true,
            _ => return None,
        };
        (version == VERSION).then_some(())?;
        Some(Self {
            purpose: Purpose::of_code(purpose)?,
            expires_at: SystemTime::UNIX_EPOCH.checked_add(expires)?,
            number,
            target,
            path: str::from_utf8(path).ok()?.parse().ok()?,
        })
    }
}

impl Purpose {
    fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Share => 2,
            Self::Visit => 3,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        [Self::Open, Self::Share, Self::Visit]
            .into_iter()
            .find(|purpose| purpose.code() == code)
    }
}

/// The first bytes of `rest`, which then begins behind them.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

const VERSION: u8 = 1;

/// Bytes of a token: the longest path, and what else there is, in base64.
const LONGEST: usize = 3072;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::links::SigningKey;

    fn keys() -> KeyRing {
        KeyRing::new(SigningKey::from_bytes([7; 32]), None)
    }

    fn claims() -> Claims {
        Claims {
            purpose: Purpose::Open,
            expires_at: at(60),
            number: 42,
            target: HostTarget::port("pink-panda-ns35kd21".parse().unwrap(), 3000),
            path: "/a?b=c".parse().unwrap(),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn read(token: &str, purpose: Purpose, now: u64) -> Result<Claims, LinkError> {
        Claims::verify(token.as_bytes(), purpose, &keys(), at(now))
    }

    #[test]
    fn token_is_read_as_it_was_written_until_it_expires() {
        let token = claims().sign(&keys());
        assert_eq!(read(&token, Purpose::Open, 59).unwrap(), claims());
        let late = read(&token, Purpose::Open, 60);
        assert!(matches!(late, Err(LinkError::Expired)), "{late:?}");
    }

    #[test]
    fn attack_27_token_for_another_purpose_or_changed_by_a_bit_is_none() {
        let token = claims().sign(&keys());
        for purpose in [Purpose::Share, Purpose::Visit] {
            let got = read(&token, purpose, 1);
            assert!(matches!(got, Err(LinkError::Invalid)), "{got:?}");
        }
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let got = read(&URL_SAFE_NO_PAD.encode(changed), Purpose::Open, 1);
            assert!(matches!(got, Err(LinkError::Invalid)), "bit {bit}: {got:?}");
        }
        for length in 0..token.len() {
            let got = read(&token[..length], Purpose::Open, 1);
            assert!(matches!(got, Err(LinkError::Invalid)), "{length}: {got:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_no_token_is_refused(token in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Claims::verify(&token, Purpose::Open, &keys(), at(1)).is_err());
        }

        /// Behind a right signature, too: an older version may have signed it.
        #[test]
        fn every_signed_message_is_read_or_refused(message in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Some(claims) = Claims::read(&message) {
                prop_assert_eq!(claims.write(), message);
            }
        }
    }
}
