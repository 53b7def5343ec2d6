//! What hosts ask for, and what they get.

use std::fmt;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::HostKind;
use crate::key::{HostKey, PublicKey, Signature, SigningKey};
use crate::token::{EnrollmentToken, hex};

/// Asks to join. There is no place in it for a private key.
#[derive(Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct EnrollRequest {
    /// The token.
    pub token: String,
    /// Public half of the host's X25519 key, in hexadecimal digits.
    pub host_key: String,
    /// Public half of the Ed25519 key that later requests are signed with.
    pub request_key: String,
    /// Signature of all that by this key.
    pub proof: String,
}

impl fmt::Debug for EnrollRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollRequest")
            .field("token", &"***")
            .field("host_key", &self.host_key)
            .field("request_key", &self.request_key)
            .finish_non_exhaustive()
    }
}

impl EnrollRequest {
    /// With `token`, for the host that holds both keys.
    #[must_use]
    pub fn new(token: &EnrollmentToken, host_key: &HostKey, request_key: &SigningKey) -> Self {
        let mut request = Self {
            token: token.expose().to_owned(),
            host_key: host_key.public_key().to_string(),
            request_key: request_key.public_key().to_string(),
            proof: String::new(),
        };
        request.proof = request_key.sign(request.to_sign().as_bytes()).to_string();
        request
    }

    fn to_sign(&self) -> String {
        let token = EnrollmentToken::shown(&self.token).hash();
        format!(
            "gitpod-gateway enroll 1\n{token}\n{}\n{}",
            self.host_key, self.request_key
        )
    }

    /// Both keys, if it was made by who holds the second one.
    pub(crate) fn keys(&self) -> Option<(PublicKey, PublicKey)> {
        let (host, request) = (public_key(&self.host_key)?, public_key(&self.request_key)?);
        let signed = request.has_signed(self.to_sign().as_bytes(), &signature(&self.proof)?);
        signed.then_some((host, request))
    }

    /// What tells a repetition from somebody else's try.
    pub(crate) fn keys_hash(&self) -> String {
        hex(&Sha256::digest(format!(
            "{} {}",
            self.host_key, self.request_key
        )))
    }
}

/// A request of a host that has joined, signed with its request key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct HostCall {
    /// Which host.
    pub host: String,
    /// What it asks for.
    pub wants: Wanted,
    /// Public half of the X25519 key of a new certificate, in hexadecimal digits.
    pub host_key: String,
    /// When it was made.
    pub at: Timestamp,
    /// Signature of all that.
    pub signature: String,
}

/// What a host asks for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Wanted {
    /// What has changed for it.
    Config,
    /// A new certificate.
    Certificate,
}

impl HostCall {
    /// Host `host` wants something, at `now`.
    #[must_use]
    pub fn new(
        host: &str,
        wants: Wanted,
        host_key: &HostKey,
        request_key: &SigningKey,
        now: Timestamp,
    ) -> Self {
        let mut call = Self {
            host: host.to_owned(),
            wants,
            host_key: host_key.public_key().to_string(),
            at: now,
            signature: String::new(),
        };
        call.signature = request_key.sign(call.to_sign().as_bytes()).to_string();
        call
    }

    fn to_sign(&self) -> String {
        let Self {
            host, host_key, at, ..
        } = self;
        let wants = match self.wants {
            Wanted::Config => "config",
            Wanted::Certificate => "certificate",
        };
        format!("gitpod-gateway call 1\n{host}\n{wants}\n{host_key}\n{at}")
    }

    /// The host's key, if the holder of `request_key` made it.
    pub(crate) fn key(&self, request_key: &str) -> Option<PublicKey> {
        let by = public_key(request_key)?;
        let signed = by.has_signed(self.to_sign().as_bytes(), &signature(&self.signature)?);
        signed.then(|| public_key(&self.host_key)).flatten()
    }
}

/// All that a host needs to run `nebula`, but its private key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConfigBundle {
    /// Name of the network.
    pub network: String,
    /// Name of the host.
    pub host: String,
    /// What it does.
    pub kind: HostKind,
    /// Grows with each change of the network. A host takes no smaller one.
    pub revision: u64,
    /// A new certificate, PEM. Absent if none was asked for.
    pub certificate: Option<String>,
    /// Who is trusted, PEM.
    pub authorities: String,
    /// Fingerprints of certificates that nobody may accept any more.
    pub blocklist: Vec<String>,
    /// Who tells where others are.
    pub lighthouses: Vec<Lighthouse>,
    /// When the certificate ends; of one that was not asked for, when the last one does.
    pub not_after: Timestamp,
    /// When to ask for the next one.
    pub renew_after: Timestamp,
    /// How long to wait before asking for changes again, in seconds.
    pub poll_seconds: u64,
}

/// A lighthouse, as other hosts need to know it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lighthouse {
    /// Its address in the network.
    pub address: Ipv4Addr,
    /// Where it is reached, as `host:port`.
    pub endpoints: Vec<String>,
}

impl Lighthouse {
    pub(crate) fn new(address: Ipv4Addr, endpoints: Vec<String>) -> Self {
        Self { address, endpoints }
    }
}

fn public_key(text: &str) -> Option<PublicKey> {
    from_hex(text).map(PublicKey::from_bytes)
}

fn signature(text: &str) -> Option<Signature> {
    from_hex(text).map(Signature::from_bytes)
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * place..2 * place + 2)?;
        // `from_str_radix` takes a sign as well.
        let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        *byte = u8::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_on_its_way_was_made_by_nobody() {
        let token = EnrollmentToken::generate().unwrap();
        let (host, request) = (
            HostKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
        );
        let good = EnrollRequest::new(&token, &host, &request);
        assert!(good.keys().is_some());
        let mut other = good.clone();
        other.host_key = HostKey::generate().unwrap().public_key().to_string();
        assert!(other.keys().is_none());

        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let call = HostCall::new("env-1", Wanted::Config, &host, &request, now);
        assert!(call.key(&good.request_key).is_some());
        let changes: [fn(&mut HostCall); 4] = [
            |call| call.host.push('1'),
            |call| call.wants = Wanted::Certificate,
            |call| call.at = Timestamp::UNIX_EPOCH,
            |call| call.host_key = "0".repeat(64),
        ];
        for change in changes {
            let mut changed = call.clone();
            change(&mut changed);
            assert!(changed.key(&good.request_key).is_none(), "{changed:?}");
        }
        assert!(!format!("{good:?}").contains(token.expose()));
    }
}
