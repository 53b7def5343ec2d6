//! Whether a request may have a workspace started.

use http::header::{CONTENT_LENGTH, HOST, ORIGIN, REFERER, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use crate::access::{Access, OWNER_TOKEN_HEADER};
use crate::activity::{is_look, is_use};
use crate::info::WakePolicy;
use crate::pages::Format;
use crate::service::{
    self, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE, SEC_FETCH_USER, WorkspaceService,
};

/// Whether `request` to `service`, made as `access`, may start a workspace of `policy`.
///
/// Starting costs, so it takes somebody who wants to come: nothing that would not keep it
/// running, no crawler, and no page that sends requests by itself.
pub(crate) fn may_start<B>(
    policy: WakePolicy,
    access: Access,
    service: WorkspaceService,
    request: &Request<B>,
) -> bool {
    let is_admitted = match policy {
        WakePolicy::Owner => access == Access::Owner,
        WakePolicy::Anyone => true,
        WakePolicy::Never => false,
    };
    let headers = request.headers();
    let shows_header = access == Access::Owner && headers.contains_key(OWNER_TOKEN_HEADER);
    is_admitted
        && may_hold(service, request)
        && is_use(service, request)
        && (shows_header || is_asked_for(request) && !is_crawler(headers))
}

/// Whether `request` may wait for a workspace that starts.
pub(crate) fn may_hold<B>(service: WorkspaceService, request: &Request<B>) -> bool {
    *request.method() != Method::OPTIONS
        && !service::is_ahead_of_time(request.headers())
        && !is_look(service, request)
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
        // No browser, or one that does not say; those name the page behind a WebSocket, and
        // mostly that behind a link, an image or a frame.
        let is_of_page = service::is_upgrade(request) && headers.contains_key(ORIGIN);
        let is_linked = names_own_host(headers, &REFERER) || is_navigation(request);
        return is_here && names_own_host(headers, &ORIGIN) && is_linked && !is_of_page;
    }
    let is = |name, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    let is_person = is(&SEC_FETCH_USER, "?1") || is(&SEC_FETCH_SITE, "none");
    all(&SEC_FETCH_MODE, &["navigate"]) && is_person && (is_here || is(&SEC_FETCH_DEST, "document"))
}

/// Whether the page that `field` names, if there is one, is of the host that is asked.
fn names_own_host(headers: &HeaderMap, field: &HeaderName) -> bool {
    let Some(page) = headers.get(field) else {
        return true;
    };
    let origin = Uri::try_from(page.as_bytes()).ok();
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
const CRAWLERS: [&str; 8] = [
    "bot",
    "crawler",
    "spider",
    "slurp",
    "preview",
    "externalhit",
    "scanner",
    "whatsapp/", // which looks at links before people do
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::ShareId;

    /// For the editor.
    fn may_start(policy: WakePolicy, access: Access, request: &Request<()>) -> bool {
        super::may_start(policy, access, WorkspaceService::Ide, request)
    }

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
        let cases: [(&[(&str, &str)], bool); 19] = [
            (&[], true),
            (&[("referer", "http://evil.test/page")], false),
            (
                &[
                    ("referer", "http://evil.test/"),
                    ("accept", "text/html,*/*;q=0.8"),
                ],
                true,
            ),
            (&[("referer", "http://4000-b.ws.example.com/")], false),
            (&[("referer", "http://3000-a.ws.example.com:8080/x")], true),
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

    #[test]
    fn what_is_no_use_starts_nothing_whoever_asks() {
        let token = ("x-gitpod-owner-token", "s3cret");
        let starts = |service, request: &Request<()>| {
            let started = super::may_start(WakePolicy::Anyone, Access::Owner, service, request);
            let (holds, uses) = (may_hold(service, request), is_use(service, request));
            assert!(!started || (holds && uses), "{request:?}");
            started
        };
        let supervisor = WorkspaceService::Supervisor;
        for path in [
            "/_supervisor/v1/status/ports",
            "/_supervisor/v1/status",
            "/%5fsupervisor/v1/status/supervisor",
            "//_supervisor/v1/./status/",
            "/_supervisor/v1/x/%2e%2e/status/ide",
        ] {
            let mut request = request(&[token]);
            *request.uri_mut() = path.parse().unwrap();
            assert!(!starts(supervisor, &request), "{path}");
            // Anybody may call a path so.
            assert!(starts(WorkspaceService::Port(3000), &request), "{path}");
        }
        let mut other = request(&[token]);
        *other.uri_mut() = "/_supervisor/v1/statuses".parse().unwrap();
        assert!(starts(supervisor, &other));
        let own_reload = [
            token,
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(!starts(WorkspaceService::Ide, &request(&own_reload)));
        let fields = [token, ("access-control-request-method", "POST")];
        let mut preflight = request(&fields);
        *preflight.method_mut() = Method::OPTIONS;
        assert!(!starts(WorkspaceService::Ide, &preflight));
        assert!(!is_use(WorkspaceService::Ide, &preflight));
    }
}
