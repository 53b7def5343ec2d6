//! Shares: who besides the owner may use a workspace, and until when.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::host::{Endpoint, HostTarget, Via};
use crate::id::WorkspaceId;

/// Name of one share. No secret: it opens nothing without a signature.
///
/// Written as 32 hexadecimal digits in lower case.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ShareId(u128);

impl ShareId {
    /// The share called `number`.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The number it is called by.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ShareId {
    type Err = ShareIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || text.len() != 32 {
            return Err(ShareIdError);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ShareIdError)
    }
}

/// The text is not the name of a share.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a share id: it has 32 hexadecimal digits")]
#[non_exhaustive]
pub struct ShareIdError;

/// What an owner opened to whoever has the link.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Share {
    /// Its name.
    pub id: ShareId,
    /// Of which workspace, whatever run of it.
    pub workspace: WorkspaceId,
    /// What of it.
    pub scope: ShareScope,
    /// When it was made.
    pub created_at: SystemTime,
    /// From then on it opens nothing.
    pub expires_at: SystemTime,
}

impl Share {
    /// Share `id` of all of `workspace`, made at `created_at`, until `expires_at`.
    #[must_use]
    pub fn new(
        id: ShareId,
        workspace: WorkspaceId,
        created_at: SystemTime,
        expires_at: SystemTime,
    ) -> Self {
        Self {
            id,
            workspace,
            scope: ShareScope::Workspace,
            created_at,
            expires_at,
        }
    }

    /// Of `scope` only.
    #[must_use]
    pub fn with_scope(mut self, scope: ShareScope) -> Self {
        self.scope = scope;
        self
    }

    /// Whether it still opens something at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        now < self.expires_at
    }

    /// Whether it opens `target`. The nested debug workspace is never shared.
    #[must_use]
    pub fn covers(&self, target: &HostTarget) -> bool {
        let scope = match (self.scope, target.endpoint) {
            (ShareScope::Workspace, _) => true,
            (ShareScope::Port(shared), Endpoint::Port(asked)) => shared == asked,
            (ShareScope::Port(_), Endpoint::Ide) => false,
        };
        scope && target.via == Via::OwnHost && !target.debug && target.workspace == self.workspace
    }
}

/// How much of a workspace is shared.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ShareScope {
    /// The editor and all ports, as [`Admission::Everyone`](crate::Admission::Everyone)
    /// opens them. No terminal of the supervisor, no SSH.
    Workspace,
    /// One port.
    Port(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_read_as_it_is_written_and_in_no_other_way() {
        let id = ShareId::from_u128(0xab);
        assert_eq!(id.to_string().parse(), Ok(id));
        let upper = id.to_string().to_uppercase();
        for text in ["", "ab", &upper, "+00000000000000000000000000000ab"] {
            assert_eq!(text.parse::<ShareId>(), Err(ShareIdError), "{text}");
        }
    }

    #[test]
    fn share_of_a_port_covers_that_port_alone() {
        let workspace: WorkspaceId = "pink-panda-ns35kd21".parse().unwrap();
        let other: WorkspaceId = "blue-whale-ns35kd21".parse().unwrap();
        let epoch = SystemTime::UNIX_EPOCH;
        let whole = Share::new(ShareId::from_u128(1), workspace.clone(), epoch, epoch);
        let port = whole.clone().with_scope(ShareScope::Port(3000));
        let cases = [
            (HostTarget::ide(workspace.clone()), true, false),
            (HostTarget::port(workspace.clone(), 3000), true, true),
            (HostTarget::port(workspace.clone(), 3001), true, false),
            (HostTarget::port(other, 3000), false, false),
            (
                HostTarget::port(workspace, 3000).in_debug_workspace(),
                false,
                false,
            ),
        ];
        for (target, by_whole, by_port) in cases {
            assert_eq!(whole.covers(&target), by_whole, "{target:?}");
            assert_eq!(port.covers(&target), by_port, "{target:?}");
        }
    }
}
