//! Who may use what.

mod cookie;
mod credential;
mod origin;
mod policy;

pub use self::cookie::CookieNames;
#[cfg(feature = "sign-in")]
pub(crate) use self::cookie::cookies;
#[cfg(feature = "sign-in")]
pub(crate) use self::credential::cookie_value;
pub use self::credential::{OWNER_TOKEN_HEADER, Presented, Source};
pub use self::policy::AccessPolicy;

use crate::host::Endpoint;
use crate::info::{Admission, Visibility, WorkspaceInfo};
use crate::share::ShareId;

/// As whom a request goes on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Access {
    /// It showed the owner's token.
    Owner,
    /// It showed none that counts, and what it asks for is open to everyone.
    Anonymous,
    /// It showed the cookie of a share, which opens what it asks for.
    Shared(ShareId),
}

/// Why a request may not use what it asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It showed no token. 401.
    #[error("an owner token is needed")]
    NoToken,
    /// What it showed cannot be decoded. 400.
    #[error("owner token is not readable")]
    UndecodableToken,
    /// It showed another token. 403.
    #[error("owner token is of another workspace or run")]
    WrongToken,
    /// A web page of another origin asks for a connection that stays open, or for something
    /// with the cookies of who looks at it. 403.
    #[error("a page of another origin may not ask for this")]
    ForeignOrigin,
    /// It comes from a visitor of a share, and whether that stands is not known now. 503.
    #[error("shares cannot be checked")]
    UncheckedShare,
}

/// Decides whether a request for `endpoint` that showed `presented` may go on.
///
/// The owner's token opens everything. Without it, a workspace that admits everyone is
/// open, and so is a port that its owner made public.
///
/// # Errors
///
/// [`Denied`] says what was wrong with the token.
///
/// # Source
///
/// Decision table of the reference proxy; an empty expected token matches nothing.
pub fn decide(
    info: &WorkspaceInfo,
    endpoint: Endpoint,
    presented: &Presented<'_>,
) -> Result<Access, Denied> {
    match presented.matches(&info.owner_token) {
        Ok(()) => Ok(Access::Owner),
        Err(_) if is_public(info, endpoint) => Ok(Access::Anonymous),
        Err(why) => Err(why),
    }
}

/// Whether `endpoint` of `info` is open to everyone.
pub(crate) fn is_public(info: &WorkspaceInfo, endpoint: Endpoint) -> bool {
    let port = match endpoint {
        Endpoint::Ide => None,
        Endpoint::Port(number) => info.port(number),
    };
    info.admission == Admission::Everyone
        || port.is_some_and(|port| port.visibility == Visibility::Public)
}

#[cfg(test)]
mod tests;
