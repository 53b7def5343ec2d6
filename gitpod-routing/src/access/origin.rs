//! Web pages that may open connections to an editor.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

use crate::host::{HostName, HostPattern, Scheme};
use crate::id::WorkspaceId;

/// Whether the page that makes a request, if one does, belongs to `workspace` or to the
/// installation at `installation`.
///
/// Where `public` is known, a page at another scheme or port is of another origin: anyone may
/// serve it. A port forwarded to ours counts, since `Host` then names it as well.
///
/// A request without `Origin` comes from no page: browsers send it with every WebSocket.
/// Foreign hosts are refused, since the path on them can name any workspace.
pub(crate) fn is_friendly(
    headers: &HeaderMap,
    pattern: &HostPattern,
    installation: &str,
    workspace: &WorkspaceId,
    public: Option<(Scheme, u16)>,
) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    let uri = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok());
    let (Some(uri), None) = (uri, origins.next()) else {
        return false; // unreadable, or several
    };
    let Some(host) = uri.host() else {
        return false;
    };
    if public.is_some_and(|(scheme, port)| !is_at(&uri, scheme, port, headers)) {
        return false;
    }
    if host.eq_ignore_ascii_case(installation) {
        return true;
    }
    match pattern.parse(host) {
        Ok(HostName::Workspace(target)) => target.workspace == *workspace,
        _ => false,
    }
}

/// Whether `origin` is at `scheme`, and at `port` or the one that the request itself came to.
fn is_at(origin: &Uri, scheme: Scheme, port: u16, headers: &HeaderMap) -> bool {
    let at = origin.port_u16().unwrap_or(scheme.port());
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let asked = host.and_then(|host| Authority::try_from(host).ok());
    let asked = asked.map(|host| host.port_u16().unwrap_or(scheme.port()));
    origin.scheme_str() == Some(scheme.as_str()) && (at == port || Some(at) == asked)
}
