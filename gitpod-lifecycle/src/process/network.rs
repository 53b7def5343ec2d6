//! Which network a workspace is in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which network workspaces are to get.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum NetworkChoice {
    /// One of its own for each, where this machine allows it; else the machine's.
    Auto,
    /// One of its own for each. Without, none is started.
    Own,
    /// The machine's, for all of them. What every supervisor can do.
    #[default]
    Shared,
}

/// Which network a workspace is in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Network {
    /// Its own: a port of it is nobody else's, and the machine's loopback is not its.
    Own,
    /// The machine's.
    #[default]
    Shared,
}

impl Network {
    /// `own` or `shared`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a workspace cannot have a network of its own here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoOwnNetwork {
    /// The program that connects it to the world is missing.
    #[error("the program `pasta` is not installed")]
    NoPasta,
    /// The system does not let this user make one. With what the supervisor said.
    #[error("the system does not let this user make a network namespace{}", detail(.0))]
    NoNamespace(String),
    /// It was made, but stays without connection. With what `pasta` said.
    #[error("`pasta` cannot connect it to the machine's network{}", detail(.0))]
    NotAttached(String),
    /// Programs in it could not resolve names.
    #[error("this machine's name server is on its loopback, which no other network reaches")]
    NameServerOnLoopback,
    /// It took too long.
    #[error("it did not come up in time")]
    TimedOut,
}

impl NoOwnNetwork {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoPasta => "install it (Debian and Ubuntu: package passt)",
            Self::NoNamespace(_) => {
                "allow unprivileged user namespaces (kernel.unprivileged_userns_clone, \
                 user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
            }
            Self::NotAttached(_) | Self::TimedOut => {
                "connect this machine to a network, and let this user open /dev/net/tun"
            }
            Self::NameServerOnLoopback => {
                "name a server that is not on loopback in /etc/resolv.conf"
            }
        }
    }
}

fn detail(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_with_what_programs_said_about_them() {
        assert_eq!(
            NoOwnNetwork::NotAttached("no route\n".to_owned()).to_string(),
            "`pasta` cannot connect it to the machine's network: no route"
        );
        assert_eq!(
            NoOwnNetwork::NoNamespace(String::new()).to_string(),
            "the system does not let this user make a network namespace"
        );
    }
}
