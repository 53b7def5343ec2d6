//! Keys and values in the store.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::RegistryError;
use crate::cidr::Cidr;
use crate::token::EnrollmentToken;

/// Begins keys of hosts.
pub(super) const HOST: &str = "HOST#";
/// Begins keys of tokens.
pub(super) const TOKEN: &str = "TOKEN#";
/// Key of what is the same for all. Its revision is that of the network.
pub(super) const META: &str = "META";

pub(super) fn host_key(name: &str) -> String {
    format!("{HOST}{name}")
}

pub(super) fn ip_key(address: Cidr) -> String {
    format!("IP#{}", address.address())
}

pub(super) fn token_key(token: &EnrollmentToken) -> String {
    format!("{TOKEN}{}", token.hash())
}

/// What is known of a token. Itself is not among it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct TokenRecord {
    pub(super) host: String,
    /// How often the host had been blocked when it was issued.
    pub(super) blocks: u64,
    pub(super) expires_at: Timestamp,
    /// Hash of the keys of who has joined with it.
    pub(super) spent_by: Option<String>,
}

pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, RegistryError> {
    T::deserialize(value).map_err(|_| RegistryError::Malformed)
}

pub(super) fn write(value: &impl Serialize) -> Result<Value, RegistryError> {
    serde_json::to_value(value).map_err(|_| RegistryError::Malformed)
}

/// Names as DNS has them, in lower case: they appear in certificates and logs.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// An address for host `name`: by chance, but the same for the same attempt, so that no
/// counter is needed that all would have to wait for. Neither the first nor the last one.
pub(super) fn candidate(network: Cidr, name: &str, attempt: u32) -> Option<Cidr> {
    let size = 1_u64.checked_shl(32 - u32::from(network.prefix()))?;
    let usable = size.checked_sub(2).filter(|usable| *usable > 0)?;
    let digest = Sha256::digest(format!("{attempt} {name}"));
    let chance = digest
        .iter()
        .take(8)
        .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    let offset = u32::try_from(1 + chance % usable).ok()?;
    let address = Ipv4Addr::from_bits(network.network().address().to_bits() | offset);
    Cidr::new(address, network.prefix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dns() {
        for (name, expected) in [
            ("env-1", true),
            ("a.b", true),
            ("", false),
            ("Env", false),
            ("-a", false),
            ("a.", false),
            ("a b", false),
            ("a/b", false),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }

    #[test]
    fn candidates_are_within_the_network_and_never_its_ends() {
        let network: Cidr = "10.128.0.0/29".parse().unwrap();
        for attempt in 0..100 {
            let found = candidate(network, "env-1", attempt).unwrap();
            let last = found.address().octets()[3];
            assert!(
                network.contains(found) && (1..=6).contains(&last),
                "{found}"
            );
        }
        assert_eq!(candidate("10.0.0.0/31".parse().unwrap(), "x", 0), None);
    }
}
