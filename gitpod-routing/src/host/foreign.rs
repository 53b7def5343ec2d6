//! Hosts that belong to no workspace and name one in their path.
//!
//! Editors load untrusted pages and web workers from such an origin, so that they
//! share no cookies and no storage with the workspace itself.

use crate::host::label::{self, Rules};
use crate::host::{HostError, HostTarget, Via};

/// Whether `label` is the first label of a foreign host: `[v--]` and letters `0`–`9`, `a`–`v`.
pub(crate) fn is_label(label: &str) -> bool {
    let hash = label.strip_prefix("v--").unwrap_or(label);
    !hash.is_empty() && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'))
}

/// Reads the workspace that the first segment of `path` names, and the path that remains.
///
/// The slash after the segment is needed; the rest is given back byte for byte,
/// with that slash.
///
/// # Errors
///
/// [`HostError::BadForeignPath`] if the segment names no workspace.
pub(crate) fn parse_path(path: &str, rules: Rules) -> Result<(HostTarget, &str), HostError> {
    let after_slash = path.strip_prefix('/').ok_or(HostError::BadForeignPath)?;
    let end = after_slash.find('/').ok_or(HostError::BadForeignPath)?;
    let (segment, rest) = after_slash.split_at(end);
    let target = label::parse(segment, rules).ok_or(HostError::BadForeignPath)?;
    let via = Via::ForeignHost;
    Ok((HostTarget { via, ..target }, rest))
}
