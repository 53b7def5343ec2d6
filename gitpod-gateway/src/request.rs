//! What an authority is asked to sign.

use std::time::Duration;

use crate::cidr::Cidr;
use crate::key::PublicKey;

/// Asks for a certificate for a host.
///
/// Without [`valid_for`](Self::valid_for) it lives until one second before its
/// authority ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct HostRequest {
    pub(crate) name: String,
    pub(crate) public_key: PublicKey,
    pub(crate) network: Cidr,
    pub(crate) subnets: Vec<Cidr>,
    pub(crate) groups: Vec<String>,
    pub(crate) lifetime: Option<Duration>,
}

impl HostRequest {
    /// For host `name` with the X25519 key `public_key`, at `network`: its own
    /// address with the size of the network it is in.
    pub fn new(name: impl Into<String>, public_key: PublicKey, network: Cidr) -> Self {
        Self {
            name: name.into(),
            public_key,
            network,
            subnets: Vec::new(),
            groups: Vec::new(),
            lifetime: None,
        }
    }

    /// With `groups`, which firewall rules of other hosts go by.
    pub fn with_groups<T: Into<String>>(mut self, groups: impl IntoIterator<Item = T>) -> Self {
        self.groups = groups.into_iter().map(Into::into).collect();
        self
    }

    /// With `subnets` reached through the host. The bits of hosts are cleared.
    pub fn with_subnets(mut self, subnets: impl IntoIterator<Item = Cidr>) -> Self {
        self.subnets = subnets.into_iter().map(Cidr::network).collect();
        self
    }

    /// Valid for `lifetime` from now on, in whole seconds.
    pub const fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// Asks for the certificate of a new authority.
///
/// What it lists bounds what the authority can ever give away, whatever a bug or
/// a thief makes it sign: every verifier checks it. It lives for a year unless
/// [`valid_for`](Self::valid_for) says otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct AuthorityRequest {
    pub(crate) name: String,
    pub(crate) networks: Vec<Cidr>,
    pub(crate) subnets: Vec<Cidr>,
    pub(crate) groups: Vec<String>,
    pub(crate) lifetime: Duration,
}

impl AuthorityRequest {
    /// For authority `name`, without bounds.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            networks: Vec::new(),
            subnets: Vec::new(),
            groups: Vec::new(),
            lifetime: YEAR,
        }
    }

    /// Hosts get addresses in `networks` only.
    pub fn with_networks(mut self, networks: impl IntoIterator<Item = Cidr>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// Hosts get subnets within `subnets` only.
    pub fn with_subnets(mut self, subnets: impl IntoIterator<Item = Cidr>) -> Self {
        self.subnets = subnets.into_iter().map(Cidr::network).collect();
        self
    }

    /// Hosts get `groups` only. A new one needs a new authority.
    pub fn with_groups<T: Into<String>>(mut self, groups: impl IntoIterator<Item = T>) -> Self {
        self.groups = groups.into_iter().map(Into::into).collect();
        self
    }

    /// Valid for `lifetime` from now on, in whole seconds.
    pub const fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

/// As `nebula-cert ca` gives: hosts outlive no authority, so theirs must be long.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
