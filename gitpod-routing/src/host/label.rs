//! The first label of a workspace's hostname: `[<port>-][debug-]<workspace id>`.

use std::fmt;

use crate::host::{Endpoint, HostTarget, Via};
use crate::id::WorkspaceId;

/// Which texts count as the same name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Rules {
    /// Ports are 1 to 65535 without leading zeros; letter case is ignored.
    #[default]
    Strict,
    /// As the reference: port 0 and leading zeros are read, upper case matches nothing.
    Reference,
}

/// Reads `label`, already in lower case unless the rules keep case.
///
/// A port is looked for first, then `debug-`, and the rest must be a whole id. Ids
/// have three or five parts and ports add one, so no label can be read in two ways.
pub(crate) fn parse(label: &str, rules: Rules) -> Option<HostTarget> {
    if let Some((digits, rest)) = label.split_once('-')
        && let Some(number) = port(digits, rules)
        && let Some(target) = debug_or_plain(rest, Endpoint::Port(number))
    {
        return Some(target);
    }
    debug_or_plain(label, Endpoint::Ide)
}

fn debug_or_plain(text: &str, endpoint: Endpoint) -> Option<HostTarget> {
    // `debug-` first, but only before a whole id: `debug-cat-abcdefgh` is an id itself.
    let (debug, id) = match text.strip_prefix("debug-") {
        Some(rest) if WorkspaceId::matches(rest) => (true, rest),
        _ => (false, text),
    };
    let workspace = id.parse().ok()?;
    Some(HostTarget {
        workspace,
        endpoint,
        debug,
        via: Via::OwnHost,
    })
}

/// Reads a port number.
pub(crate) fn port(digits: &str, rules: Rules) -> Option<u16> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if rules == Rules::Strict && digits.starts_with('0') {
        return None; // port 0, and a second spelling of every other one
    }
    digits.parse().ok()
}

/// Writes the label that [`parse`] reads as `target`.
pub(crate) fn write(target: &HostTarget, out: &mut impl fmt::Write) -> fmt::Result {
    if let Endpoint::Port(number) = target.endpoint {
        write!(out, "{number}-")?;
    }
    if target.debug {
        out.write_str("debug-")?;
    }
    out.write_str(target.workspace.as_str())
}
