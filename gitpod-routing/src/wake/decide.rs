//! Whether a request may have a workspace started.

use http::header::{CONTENT_LENGTH, HOST, ORIGIN, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use crate::access::{Access, OWNER_TOKEN_HEADER};
use crate::activity::is_health_check;
use crate::info::WakePolicy;
use crate::pages::Format;
use crate::service::{self, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE, SEC_FETCH_USER};

/// Whether `request`, made as `access`, may start a workspace of `policy`.
///
/// Starting costs, so it takes somebody who wants to come: no browser that looks ahead, no
/// crawler, and no page that sends requests by itself.
pub(crate) fn may_start<B>(policy: WakePolicy, access: Access, request: &Request<B>) -> bool {
    let is_admitted = match policy {
        WakePolicy::Owner => access == Access::Owner,
        WakePolicy::Anyone => true,
        WakePolicy::Never => false,
    };
    let headers = request.headers();
    let shows_header = access == Access::Owner && headers.contains_key(OWNER_TOKEN_HEADER);
    is_admitted
        && may_hold(request)
        && (shows_header || is_asked_for(request) && !is_crawler(headers))
}

/// Whether `request` may wait for a workspace that starts.
pub(crate) fn may_hold<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    *request.method() != Method::OPTIONS
        && !service::is_ahead_of_time(headers)
        && !is_health_check(headers)
}

/// Whether somebody looks at the answer, and would rather see a page than wait.
pub(crate) fn is_navigation<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    *request.method() == Method::GET
        && !service::is_upgrade(request)
        && service::may_be_navigation(headers)
        && Format::preferred(headers.get_all(http::header::ACCEPT)) == Format::Html
}

/// Bytes of the body, as far as they are told.
pub(crate) fn body_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
    let length = length.and_then(Result::ok).map(str::parse);
    length.and_then(Result::ok).unwrap_or_default()
}

/// Whether this can be somebody who wants to come, or her program.
///
/// Pages ask a lot by themselves, and a tab that was left open must not keep starting what
/// was stopped. Of what browsers send only that counts where a person opened a page: they
/// say so (`Sec-Fetch-User`). Nor does a page of another origin ask for her: cookies come
/// along with what it loads.
fn is_asked_for<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let all = |name, allowed: &[&str]| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| allowed.iter().any(|allowed| value == allowed))
    };
    let is_here = all(&SEC_FETCH_SITE, &["none", "same-origin"]);
    if !headers.contains_key(&SEC_FETCH_MODE) {
        // No browser, or one that does not say; those name the page behind a WebSocket.
        let is_of_page = service::is_upgrade(request) && headers.contains_key(ORIGIN);
        return is_here && is_own_origin(headers) && !is_of_page;
    }
    let is = |name, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    let is_person = is(&SEC_FETCH_USER, "?1") || is(&SEC_FETCH_SITE, "none");
    all(&SEC_FETCH_MODE, &["navigate"]) && is_person && (is_here || is(&SEC_FETCH_DEST, "document"))
}

/// Whether `Origin`, if there is one, names the host that is asked.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = Uri::try_from(origin.as_bytes()).ok();
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let host = host.and_then(|host| Authority::try_from(host).ok());
    match (origin.as_ref().and_then(Uri::host), host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host.host()),
        _ => false,
    }
}

/// Whether a program says that it collects pages. Those that do not say are not noticed.
fn is_crawler(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    let agent = agent.unwrap_or_default().to_ascii_lowercase();
    let says = |word: &&str| memchr::memmem::find(&agent, word.as_bytes()).is_some();
    CRAWLERS.iter().any(says)
}

/// Chosen by us: what nearly all of them have in their name, or call themselves.
const CRAWLERS: [&str; 7] = [
    "bot",
    "crawler",
    "spider",
    "slurp",
    "preview",
    "externalhit",
    "scanner",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::ShareId;

    fn request(fields: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::get("/").header("host", "3000-a.ws.example.com:8080");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn policy_says_who_may_start() {
        let visitor = Access::Shared(ShareId::from_u128(1));
        let cases = [
            (WakePolicy::Owner, Access::Owner, true),
            (WakePolicy::Owner, Access::Anonymous, false),
            (WakePolicy::Owner, visitor, false),
            (WakePolicy::Anyone, Access::Anonymous, true),
            (WakePolicy::Anyone, visitor, true),
            (WakePolicy::Never, Access::Owner, false),
        ];
        for (policy, access, expected) in cases {
            assert_eq!(
                may_start(policy, access, &request(&[])),
                expected,
                "{policy:?} {access:?}"
            );
        }
    }

    #[test]
    fn attack_33_nobody_who_only_looks_ahead_or_collects_starts_anything() {
        for field in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
            ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"),
            ("user-agent", "facebookexternalhit/1.1"),
            ("user-agent", "Slackbot-LinkExpanding 1.0"),
            ("user-agent", "kube-probe/1.33"),
        ] {
            let request = request(&[field]);
            assert!(
                !may_start(WakePolicy::Anyone, Access::Owner, &request),
                "{field:?}"
            );
        }
        let mut preflight = request(&[]);
        *preflight.method_mut() = Method::OPTIONS;
        assert!(!may_start(
            WakePolicy::Anyone,
            Access::Anonymous,
            &preflight
        ));
    }

    #[test]
    fn attack_31_pages_start_nothing_by_themselves() {
        let site = |site| ("sec-fetch-site", site);
        let (navigate, document) = (
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        );
        let (iframe, person) = (("sec-fetch-dest", "iframe"), ("sec-fetch-user", "?1"));
        let own = ("origin", "http://3000-a.ws.example.com:8080");
        let cases: [(&[(&str, &str)], bool); 15] = [
            (&[], true),
            (&[site("none"), navigate, document, person], true),
            (&[site("none"), navigate, document], true),
            (&[site("same-origin"), navigate, document, person], true),
            (&[site("cross-site"), navigate, document, person], true),
            // A page that reloads itself, and one that sends somebody on.
            (&[site("same-origin"), navigate, document], false),
            (&[site("same-site"), navigate, document], false),
            (&[site("cross-site"), navigate, iframe, person], false),
            (&[site("same-origin"), ("sec-fetch-mode", "cors")], false),
            (
                &[site("same-origin"), ("sec-fetch-mode", "websocket")],
                false,
            ),
            (&[site("cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (&[site("same-site")], false),
            (&[("origin", "http://evil.test")], false),
            (&[("origin", "null")], false),
            (&[own], true),
        ];
        for (fields, expected) in cases {
            let is_started = may_start(WakePolicy::Owner, Access::Owner, &request(fields));
            assert_eq!(is_started, expected, "{fields:?}");
        }
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        let of_program = request(&upgrade);
        assert!(may_start(WakePolicy::Owner, Access::Owner, &of_program));
        let of_page = request(&[upgrade[0], upgrade[1], own]);
        assert!(!may_start(WakePolicy::Owner, Access::Owner, &of_page));
        // No page can set this header for another origin.
        let fields = [site("cross-site"), ("x-gitpod-owner-token", "s3cret")];
        assert!(may_start(
            WakePolicy::Owner,
            Access::Owner,
            &request(&fields)
        ));
    }
}
