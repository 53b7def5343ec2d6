//! Web pages that may open connections to an editor.

use http::header::ORIGIN;
use http::{HeaderMap, Uri};

use crate::host::{HostName, HostPattern};
use crate::id::WorkspaceId;

/// Whether the page that makes a request, if one does, belongs to `workspace` or to the
/// installation at `installation`.
///
/// A request without `Origin` comes from no page: browsers send it with every WebSocket.
/// Foreign hosts are refused, since the path on them can name any workspace.
pub(crate) fn is_friendly(
    headers: &HeaderMap,
    pattern: &HostPattern,
    installation: &str,
    workspace: &WorkspaceId,
) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    let uri = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok());
    let host = uri.as_ref().and_then(Uri::host);
    let (Some(host), None) = (host, origins.next()) else {
        return false; // `null`, unreadable, or several
    };
    if host.eq_ignore_ascii_case(installation) {
        return true;
    }
    match pattern.parse(host) {
        Ok(HostName::Workspace(target)) => target.workspace == *workspace,
        _ => false,
    }
}
