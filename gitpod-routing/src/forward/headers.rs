//! What crosses the proxy in the head of a message, and what does not.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, REFERER, SET_COOKIE, TE, TRAILER, UPGRADE,
    X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};

use crate::access::CookieNames;
use crate::forward::PublicAddress;
use crate::host::Via;
use crate::links::{OPEN_PATH, SHARE_PATH};
use crate::peer::Peer;
use crate::refusal::BadRequest;
use crate::service::{WorkspaceService, connection_lists};
use crate::stage::Permit;

/// How requests are rewritten for a workspace.
#[derive(Clone, Debug)]
pub(crate) struct HeaderPolicy {
    pub(crate) cookies: CookieNames,
    pub(crate) public: PublicAddress,
    pub(crate) style: ForwardedStyle,
    pub(crate) supervisor_cookies: SupervisorCookies,
}

/// Which cookies a supervisor gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SupervisorCookies {
    /// Those of the user's own.
    Filtered,
    /// All, as from the reference.
    All,
}

/// How the client's side of the connection is described to the workspace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ForwardedStyle {
    /// By us alone: what the client claims is dropped.
    Replaced,
    /// After what is there, as the reference does. Fields about the host go to ports only.
    Appended,
}

impl HeaderPolicy {
    /// Rewrites a request that `permit` lets through, and tells its host. `upgrade` is put back
    /// if it is to become another protocol.
    ///
    /// Hop-by-hop fields go first, so that a client cannot have ours removed by naming
    /// them in `Connection`.
    pub(crate) fn prepare(
        &self,
        parts: &mut Parts,
        permit: &Permit,
        upgrade: Option<HeaderValue>,
    ) -> Result<OwnHost, BadRequest> {
        let host = host_value(parts).ok_or(BadRequest::UnclearHost)?;
        let headers = &mut parts.headers;
        let names = Names::of(headers, |name| self.stays_here(name));
        let wants_trailers = names.te && lists_trailers(headers);
        let trailer = names.trailer.then(|| announced_trailers(headers)).flatten();
        names.remove_unwanted(headers);
        let all_cookies = permit.service() == WorkspaceService::Supervisor
            && self.supervisor_cookies == SupervisorCookies::All;
        if names.cookie && !all_cookies {
            self.filter_cookies(headers);
        }
        if names.referer {
            remove_link_from_referer(headers);
        }
        self.describe_client(parts, permit, &host);

        let is_in_target = parts.uri.authority().is_some();
        let headers = &mut parts.headers;
        if is_in_target || names.connection {
            headers.insert(HOST, host.clone());
        }
        if wants_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(trailer) = trailer {
            headers.insert(TRAILER, trailer);
        }
        if let Some(protocol) = upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, protocol);
        }
        if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
            parts.uri = origin_form(&parts.uri);
        }
        parts.version = Version::HTTP_11;
        Ok(OwnHost(host))
    }

    /// Whether a field of a request is not for the workspace, whatever it says. What we say
    /// of the message and of the client comes in the place of what the client did.
    fn stays_here(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        is_hop_by_hop(name)
            || name == CONTENT_LENGTH.as_str()
            || name == X_DEBUG_PORT.as_str()
            || self.style == ForwardedStyle::Replaced && is_claim(name)
            || is_internal(name)
    }

    fn filter_cookies(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(COOKIE) {
            return;
        }
        match self.cookies.filter(headers.get_all(COOKIE)) {
            Some(kept) => drop(headers.insert(COOKIE, kept)),
            None => drop(headers.remove(COOKIE)),
        }
    }

    fn describe_client(&self, parts: &mut Parts, permit: &Permit, host: &HeaderValue) {
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.and_then(|peer| address_value(peer.0.ip().to_canonical()));
        let headers = &mut parts.headers;
        let port = match permit.service() {
            WorkspaceService::Port(number) => Some(number),
            _ => None,
        };
        let claimed = match self.style {
            ForwardedStyle::Replaced => None, // removed
            ForwardedStyle::Appended => joined(headers, &X_FORWARDED_FOR),
        };
        match (peer, claimed) {
            (Some(peer), Some(claimed)) => insert_joined(headers, &claimed, &peer),
            (Some(peer), None) => drop(headers.insert(X_FORWARDED_FOR, peer)),
            (None, _) => {}
        }
        if port.is_some() || self.style == ForwardedStyle::Replaced {
            headers.insert(X_FORWARDED_PROTO, self.public.scheme_value());
            headers.insert(X_FORWARDED_HOST, host.clone());
            headers.insert(X_FORWARDED_PORT, self.public.port_value());
        }
        if let (Some(number), true) = (port, permit.target().debug) {
            headers.insert(X_DEBUG_PORT, HeaderValue::from(number));
        }
    }

    /// Rewrites the head of a response to a request that `permit` let through, from a server
    /// that the client knows as `host`.
    pub(crate) fn clean_response(&self, headers: &mut HeaderMap, permit: &Permit, host: &OwnHost) {
        let is_port = matches!(permit.service(), WorkspaceService::Port(_));
        let shares_origin = permit.target().via == Via::ForeignHost;
        let names = Names::of(headers, |name| {
            is_hop_by_hop(name.as_str())
                || *name == CLEAR_SITE_DATA // it would clear the cookies of the whole domain
                || is_port && *name == X_FRAME_OPTIONS // ports are shown in frames of the editor
                || shares_origin && *name == SERVICE_WORKER_ALLOWED // below its own path only
        });
        let trailer = names.trailer.then(|| announced_trailers(headers)).flatten();
        names.remove_unwanted(headers);
        if let Some(trailer) = trailer {
            headers.insert(TRAILER, trailer);
        }
        if self.style == ForwardedStyle::Replaced && names.set_cookie {
            self.drop_foreign_cookies(headers, host.name());
        }
    }

    /// An app may not set cookies that the installation would read as its own, or that
    /// reach its siblings.
    fn drop_foreign_cookies(&self, headers: &mut HeaderMap, host: &[u8]) {
        let may_set = |line: &&HeaderValue| self.cookies.may_set(line, host);
        if headers
            .get_all(SET_COOKIE)
            .iter()
            .all(|line| may_set(&line))
        {
            return;
        }
        let lines = headers.get_all(SET_COOKIE).iter();
        let kept: Vec<HeaderValue> = lines.filter(may_set).cloned().collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
    }
}

/// The host that a request was sent to, kept for its answer.
pub(crate) struct OwnHost(HeaderValue);

impl OwnHost {
    /// Without port.
    fn name(&self) -> &[u8] {
        let host = self.0.as_bytes();
        host.split(|b| *b == b':').next().unwrap_or_default()
    }
}

/// What fields a head has, seen in one pass: to look for each by its name costs more than all
/// else that is done to a head.
#[derive(Default)]
struct Names {
    unwanted: Vec<HeaderName>,
    connection: bool,
    cookie: bool,
    referer: bool,
    set_cookie: bool,
    te: bool,
    trailer: bool,
}

impl Names {
    fn of(headers: &HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) -> Self {
        let mut names = Self::default();
        for name in headers.keys() {
            match *name {
                CONNECTION => names.connection = true,
                COOKIE => names.cookie = true,
                REFERER => names.referer = true,
                SET_COOKIE => names.set_cookie = true,
                TE => names.te = true,
                TRAILER => names.trailer = true,
                _ => {}
            }
            if is_unwanted(name) {
                names.unwanted.push(name.clone());
            }
        }
        names
    }

    /// Removes what is unwanted, and what `Connection` names.
    fn remove_unwanted(&self, headers: &mut HeaderMap) {
        if self.connection {
            remove_named_by_connection(headers);
        }
        for name in &self.unwanted {
            headers.remove(name);
        }
    }
}

fn remove_named_by_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// As text; that of IPv4 by hand, because it is needed for each request.
fn address_value(address: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(address) = address else {
        return HeaderValue::try_from(address.to_string()).ok();
    };
    let mut text = ArrayVec::<u8, { "255.255.255.255".len() }>::new();
    for (at, octet) in address.octets().into_iter().enumerate() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
        let unneeded = usize::from(octet < 100) + usize::from(octet < 10);
        let dot: &[u8] = if at > 0 { b"." } else { b"" };
        text.extend(dot.iter().chain(digits.iter().skip(unneeded)).copied());
    }
    HeaderValue::from_bytes(&text).ok()
}

/// Browsers are told not to send a link that lets in as `Referer`; some clients do.
fn remove_link_from_referer(headers: &mut HeaderMap) {
    let leaks = |path: &str| {
        let referer = headers.get(REFERER).map(HeaderValue::as_bytes);
        referer.is_some_and(|url| memchr::memmem::find(url, path.as_bytes()).is_some())
    };
    if headers.contains_key(REFERER) && (leaks(OPEN_PATH) || leaks(SHARE_PATH)) {
        headers.remove(REFERER);
    }
}

fn is_internal(name: &str) -> bool {
    if memchr::memchr(b'_', name.as_bytes()).is_some() {
        let dashed = name.replace('_', "-");
        return is_internal(&dashed)
            || OURS.iter().any(|ours| *ours == dashed)
            || is_hop_by_hop(&dashed);
    }
    name.starts_with("x-gitpod-") || name == "x-wsproxy-host"
}

/// Whether a trailing field of this name may pass: nothing that steers a message.
pub(crate) fn may_trail(name: &HeaderName) -> bool {
    !is_internal(name.as_str())
        && !is_hop_by_hop(name.as_str())
        && !is_claim(name.as_str())
        && !NEVER_TRAIL.contains(&name.as_str())
}

/// The trailing fields that `Trailer` announces and that may pass.
fn announced_trailers(headers: &HeaderMap) -> Option<HeaderValue> {
    if !headers.contains_key(TRAILER) {
        return None;
    }
    let names: Vec<HeaderName> = headers
        .get_all(TRAILER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(may_trail)
        .collect();
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    let list = names.join(", ");
    (!list.is_empty())
        .then(|| HeaderValue::try_from(list).ok())
        .flatten()
}

fn lists_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// The `Upgrade` field of a request that asks for another protocol.
///
/// # Errors
///
/// [`BadRequest::UnclearUpgrade`] if there are several, or one that is no visible text.
pub(crate) fn requested_upgrade(headers: &HeaderMap) -> Result<Option<HeaderValue>, BadRequest> {
    let mut values = headers.get_all(UPGRADE).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if !connection_lists(headers, "upgrade") {
        return Ok(None);
    }
    let visible = value.to_str().is_ok_and(|text| !text.trim().is_empty());
    match values.next() {
        None if visible => Ok(Some(value.clone())),
        _ => Err(BadRequest::UnclearUpgrade),
    }
}

/// The host as the client wrote it: HTTP/2 has it in the target.
fn host_value(parts: &Parts) -> Option<HeaderValue> {
    match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => parts.headers.get(HOST).cloned(),
    }
}

fn origin_form(uri: &Uri) -> Uri {
    if uri.authority().is_none() && uri.scheme().is_none() {
        return uri.clone();
    }
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).unwrap_or_default()
}

/// All values of `name` in one.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}

fn insert_joined(headers: &mut HeaderMap, claimed: &[u8], peer: &HeaderValue) {
    let all = [claimed, peer.as_bytes()].join(&b", "[..]);
    if let Ok(value) = HeaderValue::from_bytes(&all) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_DEBUG_PORT: HeaderName = HeaderName::from_static("x-ws-proxy-debug-port");
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// What a client can claim of itself or of how it came here.
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-proto"
            | "x-forwarded-prefix"
            | "x-forwarded-server"
            | "x-original-host"
            | "x-real-ip"
    )
}

/// Fields that we set, in the spelling that a twin with `_` would be taken for.
const OURS: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-ws-proxy-debug-port",
    "content-length",
];

/// **Source:** RFC 9110, section 7.6.1, and what older software sends.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// **Source:** RFC 9110, section 6.5.1: framing, routing, authentication, caching.
const NEVER_TRAIL: [&str; 13] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "max-forwards",
    "range",
    "set-cookie",
    "x-ws-proxy-debug-port",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_always_are() {
        let all = (0..=255_u8).flat_map(|octet| [[octet, 0, 10, 255], [1, 200, octet, 9]]);
        for octets in all {
            let address = IpAddr::from(octets);
            assert_eq!(address_value(address).unwrap(), address.to_string());
        }
        assert_eq!(address_value("::1".parse().unwrap()).unwrap(), "::1");
    }
}
