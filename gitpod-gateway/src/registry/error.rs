//! Why a registry does not do what it is asked for.

use crate::authority::SignError;
use crate::store::StoreError;
use crate::token::NoRandom;

/// Why a registry does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No host may be called so.
    #[error("no host can be called {0:?}: use labels of lower-case letters, digits and dashes")]
    BadName(String),
    /// There is a host of that name.
    #[error("there is a host {0} already")]
    NameTaken(String),
    /// There is no host of that name.
    #[error("there is no host {0}")]
    NoHost(String),
    /// A lighthouse that nobody could reach.
    #[error("a lighthouse needs an endpoint, as host:port, at which others reach it")]
    NoEndpoint,
    /// An endpoint of a host that is no lighthouse.
    #[error("only lighthouses have endpoints: others are found through them")]
    EndpointNotNeeded,
    /// The network is full, or nearly.
    #[error("no address is left in the network")]
    NoAddressLeft,
    /// There is no such token, or it was removed since.
    #[error("token is not known; ask for a new one")]
    TokenInvalid,
    /// It was not used in time.
    #[error("token has expired; ask for a new one")]
    TokenExpired,
    /// Another host has joined with it.
    #[error("token was used already; ask for a new one, and find out who used it")]
    TokenSpent,
    /// It was signed by none who may ask.
    #[error("request is not signed by a key that is known")]
    BadSignature,
    /// It was made long ago, or will be.
    #[error("clock of the host is more than five minutes off")]
    ClockSkew,
    /// The host was shut out.
    #[error("host is blocked; it can join again with a new token")]
    HostBlocked,
    /// The host was shut out with this very key.
    #[error("key is blocked; the host must make a new one")]
    KeyBlocked,
    /// Too many changes at once.
    #[error("too many others change the same; try again")]
    Busy,
    /// A record that is kept cannot be used.
    #[error("a record of the network cannot be used")]
    Malformed,
    /// The authority signs nothing, or not this.
    #[error("certificate was not signed")]
    Sign(#[from] SignError),
    /// The system has no random numbers.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// Nothing can be read or written.
    #[error("state of the network is out of reach")]
    Store(#[from] StoreError),
}

impl RegistryError {
    /// A word for programs, which stays the same.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadName(_) => "BAD_NAME",
            Self::NameTaken(_) => "NAME_TAKEN",
            Self::NoHost(_) => "NO_HOST",
            Self::NoEndpoint => "NO_ENDPOINT",
            Self::EndpointNotNeeded => "ENDPOINT_NOT_NEEDED",
            Self::NoAddressLeft => "IP_EXHAUSTED",
            Self::TokenInvalid => "TOKEN_INVALID",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TokenSpent => "TOKEN_SPENT",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::ClockSkew => "CLOCK_SKEW",
            Self::HostBlocked => "HOST_BLOCKED",
            Self::KeyBlocked => "KEY_BLOCKED",
            Self::Busy => "BUSY",
            Self::Malformed => "MALFORMED_RECORD",
            Self::Sign(_) => "NOT_SIGNED",
            Self::NoRandom(_) => "NO_RANDOM",
            Self::Store(_) => "STORE_UNAVAILABLE",
        }
    }

    /// Whether asking again later can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Store(_) | Self::NoRandom(_))
    }
}
