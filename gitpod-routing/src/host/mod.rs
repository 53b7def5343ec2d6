//! Hostnames, and what they ask for.

mod foreign;
mod label;
mod pattern;
mod request;
mod url;

pub(crate) use self::pattern::bare_name;
pub use self::pattern::{HostPattern, SiblingPattern};
pub use self::request::HostSource;
pub use self::url::{PublicUrl, Scheme, url_port};

use crate::id::WorkspaceId;

/// What a hostname names.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HostName {
    /// A server of a workspace.
    Workspace(HostTarget),
    /// An origin without cookies; the path names the workspace. Holds the first label.
    Foreign(Box<str>),
}

/// Which server of which workspace a request is for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct HostTarget {
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// Which server in it.
    pub endpoint: Endpoint,
    /// Whether the nested workspace is meant in which its owner tries a new configuration.
    pub debug: bool,
    /// Where the name stood.
    pub via: Via,
}

impl HostTarget {
    /// The editor of `workspace`.
    #[must_use]
    pub fn ide(workspace: WorkspaceId) -> Self {
        Self {
            workspace,
            endpoint: Endpoint::Ide,
            debug: false,
            via: Via::OwnHost,
        }
    }

    /// Port `number` of `workspace`. Port 0 can be written, but is never reached.
    #[must_use]
    pub fn port(workspace: WorkspaceId, number: u16) -> Self {
        Self {
            endpoint: Endpoint::Port(number),
            ..Self::ide(workspace)
        }
    }

    /// The same in the nested debug workspace.
    #[must_use]
    pub fn in_debug_workspace(self) -> Self {
        Self {
            debug: true,
            ..self
        }
    }
}

/// A server inside a workspace, as a hostname can name it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Endpoint {
    /// The editor, and below `/_supervisor` the supervisor.
    Ide,
    /// A port the user opened.
    Port(u16),
}

/// Where the name of a workspace stood.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Via {
    /// In a hostname of its own.
    OwnHost,
    /// In the path on a foreign host. The segment is cut off before forwarding.
    ForeignHost,
}

/// Why a request asks for nothing we know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The configured domain is no hostname.
    #[error("domain must be a hostname without leading or trailing dot")]
    BadDomain,
    /// The path on a foreign host names no workspace.
    #[error("path on a foreign host names no workspace")]
    BadForeignPath,
    /// The first label of the name is not `[<port>-][debug-]<workspace id>`.
    #[error("hostname names no workspace")]
    BadLabel,
    /// Longer than a hostname may be, or with an unreadable port behind it.
    #[error("not a hostname")]
    Malformed,
    /// The request carries no host.
    #[error("request has no host")]
    Missing,
    /// The name is outside the domain.
    #[error("hostname is in another domain")]
    OtherDomain,
    /// The request names several hosts.
    #[error("request names more than one host")]
    Several,
}

impl HostError {
    /// Whether the request itself breaks the protocol, rather than naming an unknown host.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Several)
    }
}

#[cfg(test)]
mod tests;
