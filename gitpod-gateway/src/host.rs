//! Hosts of a network, as they are kept and told.

use std::net::Ipv4Addr;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;

/// What a host does in the network. It is also its group, which firewall rules go by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HostKind {
    /// Tells hosts where others are, and relays for those that cannot meet.
    Lighthouse,
    /// Brings users' requests to environments.
    Proxy,
    /// Runs environments.
    Runner,
    /// Is worked in.
    Environment,
}

impl HostKind {
    /// All of them: the closed set of groups of an authority.
    pub const ALL: [Self; 4] = [
        Self::Lighthouse,
        Self::Proxy,
        Self::Runner,
        Self::Environment,
    ];

    /// Its name, which is its group's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lighthouse => "lighthouse",
            Self::Proxy => "proxy",
            Self::Runner => "runner",
            Self::Environment => "environment",
        }
    }
}

/// The text is no kind of host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no kind of host: write lighthouse, proxy, runner or environment")]
#[non_exhaustive]
pub struct NoHostKind;

impl FromStr for HostKind {
    type Err = NoHostKind;

    fn from_str(text: &str) -> Result<Self, NoHostKind> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text).ok_or(NoHostKind)
    }
}

/// A host to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewHost {
    /// Its name: labels of letters, digits and dashes in lower case, as DNS has them.
    pub name: String,
    /// What it does.
    pub kind: HostKind,
    /// Where others reach it from outside of the network, as `host:port`: lighthouses only.
    pub endpoints: Vec<String>,
}

impl NewHost {
    /// Host `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: HostKind) -> Self {
        Self {
            name: name.into(),
            kind,
            endpoints: Vec::new(),
        }
    }

    /// Reached at `endpoints`.
    #[must_use]
    pub fn with_endpoints<T: Into<String>>(
        mut self,
        endpoints: impl IntoIterator<Item = T>,
    ) -> Self {
        self.endpoints = endpoints.into_iter().map(Into::into).collect();
        self
    }
}

/// How far a host has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HostState {
    /// It has a name and an address, and no certificate yet.
    Reserved,
    /// It has certificates.
    Enrolled,
    /// It is shut out: nobody accepts its certificates. Only a new enrolment, with new
    /// keys, brings it back.
    Blocked,
}

/// A host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: HostKind,
    /// Its address in the network, with the size of that.
    pub address: String,
    /// Where it is reached from outside, if it is a lighthouse.
    pub endpoints: Vec<String>,
    /// How far it has come.
    pub state: HostState,
    /// How often it was blocked. Tokens of before are good for nothing.
    pub blocks: u64,
    /// Public half of the key of its last certificate, in hexadecimal digits.
    pub host_key: Option<String>,
    /// The key that its requests are signed with, in hexadecimal digits.
    pub request_key: Option<String>,
    /// Every certificate that it was given and that may still live.
    pub certificates: Vec<Issued>,
    /// Those that nobody may accept any more.
    pub revoked: Vec<Issued>,
    /// When it last asked for anything.
    pub last_seen: Option<Timestamp>,
}

impl Host {
    pub(crate) fn of(new: NewHost, address: Cidr) -> Self {
        Self {
            name: new.name,
            kind: new.kind,
            address: address.to_string(),
            endpoints: new.endpoints,
            state: HostState::Reserved,
            blocks: 0,
            host_key: None,
            request_key: None,
            certificates: Vec::new(),
            revoked: Vec::new(),
            last_seen: None,
        }
    }

    /// Its address alone.
    #[must_use]
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.cidr().map(Cidr::address)
    }

    pub(crate) fn cidr(&self) -> Option<Cidr> {
        self.address.parse().ok()
    }

    /// Puts all of its certificates on the list of those that nobody may accept any more.
    pub(crate) fn revoke_all(&mut self) {
        let certificates = std::mem::take(&mut self.certificates);
        self.revoked.extend(certificates);
    }

    /// Forgets certificates that are over, with some time for clocks that are behind.
    pub(crate) fn forget_expired(&mut self, now: Timestamp) {
        let lives = |issued: &Issued| {
            let end = issued.not_after.checked_add(CLOCKS_BEHIND);
            end.map_or(true, |end| end > now)
        };
        self.certificates.retain(lives);
        self.revoked.retain(lives);
    }
}

/// How far clocks of hosts may be behind.
const CLOCKS_BEHIND: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// A certificate that was given away.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Issued {
    /// Which one.
    pub fingerprint: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Issued {
    pub(crate) fn new(fingerprint: String, not_after: Timestamp) -> Self {
        Self {
            fingerprint,
            not_after,
        }
    }
}
