//! Whether a request may have a workspace started.

use http::header::{CONTENT_LENGTH, HOST, ORIGIN, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use crate::access::{Access, OWNER_TOKEN_HEADER};
use crate::info::WakePolicy;
use crate::pages::Format;
use crate::service;

/// Whether `request`, made as `access`, may start a workspace of `policy`.
///
/// Starting costs, so it takes somebody who wants to come: no browser that looks ahead, no
/// crawler, and no page of another origin that sends a request in the background, since
/// cookies come along with it.
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
        && (shows_header || !is_from_elsewhere(headers) && !is_crawler(headers))
}

/// Whether `request` may wait for a workspace that starts.
pub(crate) fn may_hold<B>(request: &Request<B>) -> bool {
    *request.method() != Method::OPTIONS && !service::is_ahead_of_time(request.headers())
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

/// Whether a page of another origin asks, in another way than by leading somebody here.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_none() {
        return !is_own_origin(headers); // not a browser, or an old one
    }
    let is = |name, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    let is_led_here = is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
        && is("sec-fetch-user", "?1");
    !is_led_here && !sites.all(|site| site == "none" || site == "same-origin")
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

const SEC_FETCH_SITE: &str = "sec-fetch-site";

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
    fn attack_31_pages_of_other_origins_start_nothing_in_the_background() {
        let led = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let cases: [(&[(&str, &str)], bool); 10] = [
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "no-cors"),
                ],
                false,
            ),
            (&[("sec-fetch-site", "same-site"), led[0], led[1]], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    led[0],
                    ("sec-fetch-dest", "iframe"),
                    ("sec-fetch-user", "?1"),
                ],
                false,
            ),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    led[0],
                    led[1],
                    ("sec-fetch-user", "?1"),
                ],
                true,
            ),
            (&[("origin", "http://evil.test")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://3000-a.ws.example.com:8080")], true),
        ];
        for (fields, expected) in cases {
            let is_started = may_start(WakePolicy::Owner, Access::Owner, &request(fields));
            assert_eq!(is_started, expected, "{fields:?}");
        }
        // No page can set this header for another origin.
        let fields = [
            ("sec-fetch-site", "cross-site"),
            ("x-gitpod-owner-token", "s3cret"),
        ];
        assert!(may_start(
            WakePolicy::Owner,
            Access::Owner,
            &request(&fields)
        ));
    }
}
