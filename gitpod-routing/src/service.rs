//! Servers inside a workspace, and which one a request is for.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderName, Request, Version};
use percent_encoding::percent_decode_str;

use crate::host::{Endpoint, HostTarget, Via};

/// Which server of a workspace to reach.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WorkspaceService {
    /// The editor.
    Ide,
    /// The supervisor, which runs tasks and knows the state of everything inside.
    Supervisor,
    /// A port the user opened.
    Port(u16),
}

impl WorkspaceService {
    /// The server that a request for `path` on `target` is for.
    ///
    /// Below `/_supervisor` an editor's host belongs to the supervisor. However the path is
    /// written, with escapes, dots or doubled slashes, it counts as what it could come to mean.
    #[must_use]
    pub fn of(target: &HostTarget, path: &str) -> Self {
        match target.endpoint {
            Endpoint::Port(number) => Self::Port(number),
            Endpoint::Ide if target.via == Via::OwnHost && leads_to_supervisor(path) => {
                Self::Supervisor
            }
            Endpoint::Ide => Self::Ide,
        }
    }
}

fn leads_to_supervisor(path: &str) -> bool {
    leads_to(path, "/_supervisor")
}

/// Whether `path` is `place` or below, as it is written or as it could come to be read.
pub(crate) fn leads_to(path: &str, place: &str) -> bool {
    if is_within(path, place) {
        return true;
    }
    if !path.contains(['%', '\\']) && !path.contains("//") && !path.contains("/.") {
        return false;
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|b| matches!(b, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut place = place.split('/').skip(1).map(str::as_bytes).enumerate();
    place.all(|(at, segment)| segments.get(at) == Some(&segment))
}

fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a request asks to become a connection of another protocol.
pub(crate) fn is_upgrade<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && request.headers().contains_key(UPGRADE)
        && connection_lists(request.headers(), "upgrade")
}

/// Whether nobody has asked for this just now. For each request, so that fields are looked up
/// only if they are there.
pub(crate) fn comes_by_itself(headers: &HeaderMap) -> bool {
    let (mut says_purpose, mut says_mode) = (false, false);
    for name in headers.keys() {
        match name.as_str() {
            "sec-purpose" | "purpose" | "x-purpose" | "x-moz" => says_purpose = true,
            "sec-fetch-mode" => says_mode = true,
            _ => {}
        }
    }
    says_purpose && is_ahead_of_time(headers) || says_mode && is_self_reload(headers)
}

/// Whether a browser asks before anybody has: to have it at hand, and perhaps for nothing.
pub(crate) fn is_ahead_of_time(headers: &HeaderMap) -> bool {
    let mut values = AHEAD_OF_TIME.iter().flat_map(|name| headers.get_all(name));
    values.any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        [&b"prefetch"[..], b"prerender", b"preview"]
            .iter()
            .any(|word| memchr::memmem::find(&value, word).is_some())
    })
}

/// Whether a page reloads itself, or sends itself on: nobody has asked for it.
pub(crate) fn is_self_reload(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, expected: &str| {
        headers.get(name).is_some_and(|value| value == expected)
    };
    is(&SEC_FETCH_MODE, "navigate")
        && is(&SEC_FETCH_SITE, "same-origin")
        && !headers.contains_key(&SEC_FETCH_USER)
}

/// Whether this may be somebody who opens a page: browsers say if it is not.
pub(crate) fn may_be_navigation(headers: &HeaderMap) -> bool {
    let mode = headers.get_all(&SEC_FETCH_MODE);
    mode.iter().all(|mode| mode == "navigate")
}

/// Whether a `Connection` field lists `token`.
pub(crate) fn connection_lists(headers: &HeaderMap, token: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

/// `Sec-Purpose`, and what browsers said before there was that.
static AHEAD_OF_TIME: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

/// Fetch Metadata: what browsers say of who has caused a request.
pub(crate) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(crate) static SEC_FETCH_USER: HeaderName = HeaderName::from_static("sec-fetch-user");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisor_has_one_segment_however_it_is_written() {
        let cases = [
            ("/_supervisor", true),
            ("/_supervisor/v1/status/ide", true),
            ("/_supervisorx", false),
            ("/a/_supervisor", false),
            ("/%5fsupervisor/v1", true),
            ("//_supervisor/v1", true),
            ("/x/../_supervisor", true),
            ("/_supervisor/../x", true), // as written it begins there
            ("/x/%2e%2e/_supervisor", true),
            ("/\\_supervisor", true),
            ("/", false),
        ];
        let id = "pink-panda-ns35kd21".parse().unwrap();
        let target = HostTarget::ide(id);
        for (path, expected) in cases {
            let is = WorkspaceService::of(&target, path) == WorkspaceService::Supervisor;
            assert_eq!(is, expected, "{path}");
        }
    }
}
