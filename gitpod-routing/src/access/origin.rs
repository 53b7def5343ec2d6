//! Web pages, and what they may ask for in the name of who looks at them.

use http::header::{ACCEPT, HOST, ORIGIN, REFERER};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use crate::host::{HostName, HostPattern, Scheme};
use crate::id::WorkspaceId;
use crate::service::{SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE};

/// Pages that belong to a workspace, or to its installation.
pub(crate) struct OwnPages<'p> {
    pub(crate) pattern: &'p HostPattern,
    /// Host of the installation.
    pub(crate) installation: &'p str,
    pub(crate) workspace: &'p WorkspaceId,
    /// Where clients come to. Where this is known, a page at another scheme or port is of
    /// another origin: anyone may serve it. A port forwarded to ours counts, since `Host`
    /// then names it as well.
    pub(crate) public: Option<(Scheme, u16)>,
}

impl OwnPages<'_> {
    /// Whether one of these opens a connection with `headers`, or no page at all.
    ///
    /// A request without `Origin` comes from no page: browsers send it with every WebSocket.
    /// Foreign hosts are refused, since the path on them can name any workspace.
    pub(crate) fn may_connect(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => self.include(origin, headers),
            (Some(_), Some(_)) => false,
        }
    }

    /// Whether `request` may be made with cookies: by a person who goes somewhere, by one of
    /// these pages, or by no page at all.
    ///
    /// Fetch Metadata tells whether a page has caused it; `Origin`, or else `Referer`, which
    /// one. A page may hide itself, but not name another one. Browsers that tell nothing – none
    /// does over plain HTTP, but to `localhost` – name it mostly; there only what asks for a
    /// page may be a link that a person follows.
    pub(crate) fn may_use_cookies<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let says = |name, value| {
            headers
                .get(name)
                .is_some_and(|got: &HeaderValue| got == value)
        };
        let mut sites = headers.get_all(&SEC_FETCH_SITE).iter();
        let by_a_page = match (sites.next(), sites.next()) {
            (None, _) => return self.may_connect(headers) && self.may_refer(request),
            (Some(site), None) => site != "same-origin" && site != "none",
            (Some(_), Some(_)) => true,
        };
        let goes_there = matches!(*request.method(), Method::GET | Method::HEAD)
            && says(&SEC_FETCH_MODE, "navigate")
            && says(&SEC_FETCH_DEST, "document");
        if !by_a_page || goes_there {
            return true;
        }
        match headers.get(ORIGIN) {
            Some(_) => self.may_connect(headers),
            None => headers
                .get(REFERER)
                .is_some_and(|page| self.include(page, headers)),
        }
    }

    /// Whether `request`, of which no Fetch Metadata tell, may come from where `Referer` says.
    fn may_refer<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let mut pages = headers.get_all(REFERER).iter();
        let is_own = pages.all(|page| self.include(page, headers));
        is_own || headers.contains_key(ORIGIN) || may_follow_link(request)
    }

    /// Whether the page at `url`, or of that origin, is one of them.
    fn include(&self, url: &HeaderValue, headers: &HeaderMap) -> bool {
        let uri = url.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
        let Some(uri) = uri else {
            return false;
        };
        let Some(host) = uri.host() else {
            return false;
        };
        if let Some((scheme, port)) = self.public
            && !is_at(&uri, scheme, port, headers)
        {
            return false;
        }
        if host.eq_ignore_ascii_case(self.installation) {
            return true;
        }
        match self.pattern.parse(host) {
            Ok(HostName::Workspace(target)) => target.workspace == *self.workspace,
            _ => false,
        }
    }
}

/// Whether this asks for a page, as browsers do for people, and not for a part of one.
fn may_follow_link<B>(request: &Request<B>) -> bool {
    let mut accepted = request.headers().get_all(ACCEPT).iter();
    matches!(*request.method(), Method::GET | Method::HEAD)
        && accepted.any(|kinds| memchr::memmem::find(kinds.as_bytes(), b"text/html").is_some())
}

/// Whether `origin` is at `scheme`, and at `port` or the one that the request itself came to.
fn is_at(origin: &Uri, scheme: Scheme, port: u16, headers: &HeaderMap) -> bool {
    let at = origin.port_u16().unwrap_or(scheme.port());
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let asked = host.and_then(|host| Authority::try_from(host).ok());
    let asked = asked.map(|host| host.port_u16().unwrap_or(scheme.port()));
    origin.scheme_str() == Some(scheme.as_str()) && (at == port || Some(at) == asked)
}
