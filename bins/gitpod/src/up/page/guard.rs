//! Which requests the page answers: those of the person who is signed in, made by the
//! page itself.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::refusal::Refusal;
use super::{Page, home};

/// For what changes something.
pub(super) async fn change(State(page): State<Page>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_json = text(headers, &header::CONTENT_TYPE)
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let authority = request.uri().authority();
    if !comes_from_page(headers) || !is_own_origin(headers, authority) {
        return foreign().into_response();
    }
    if !is_json {
        return Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is not JSON",
            "send application/json",
        )
        .into_response();
    }
    signed_in(&page, request, next).await
}

/// For what the page's script reads.
pub(super) async fn read(State(page): State<Page>, request: Request, next: Next) -> Response {
    if !comes_from_page(request.headers()) {
        return foreign().into_response();
    }
    signed_in(&page, request, next).await
}

async fn signed_in(page: &Page, request: Request, next: Next) -> Response {
    match page.session_of(request.headers()) {
        Some(_) => next.run(request).await,
        None => Refusal::signed_out(StatusCode::UNAUTHORIZED).into_response(),
    }
}

/// For what a person goes to.
///
/// Who comes from another page brings no cookie, as that is for this site only. She is
/// asked to come again by herself, which then counts as coming from here: to the page, or
/// into a workspace if she says so with a click. No other page decides that for her.
pub(super) async fn visit(State(page): State<Page>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !is_whole_page(headers) {
        return foreign().into_response();
    }
    if !matches!(fetch_site(headers), "" | "none" | "same-origin") {
        return home::come_again(request.uri().path());
    }
    match page.session_of(headers) {
        Some(_) => next.run(request).await,
        None => Refusal::signed_out(StatusCode::UNAUTHORIZED).into_response(),
    }
}

/// Whether it is the page's own script that asks. Browsers that are too old to say so
/// are held off by the cookie, `Origin` and the kind of body alone.
fn comes_from_page(headers: &HeaderMap) -> bool {
    matches!(fetch_site(headers), "" | "same-origin")
}

/// Whether a browser wants to show the answer in a window of its own. What is to become
/// another protocol is none: it must not be led elsewhere.
pub(super) fn is_whole_page(headers: &HeaderMap) -> bool {
    let upgrade = text(headers, &header::UPGRADE);
    if !upgrade.is_empty() && !upgrade.eq_ignore_ascii_case("h2c") {
        return false;
    }
    let mode = text(headers, &HeaderName::from_static("sec-fetch-mode"));
    let dest = text(headers, &HeaderName::from_static("sec-fetch-dest"));
    matches!(mode, "" | "navigate") && matches!(dest, "" | "document")
}

fn fetch_site(headers: &HeaderMap) -> &str {
    text(headers, &HeaderName::from_static("sec-fetch-site"))
}

/// Whether the one `Origin` is that of the page, port included. The host cannot be
/// chosen by the script of a page, and [`Front`](super::Front) has checked it.
fn is_own_origin(headers: &HeaderMap, authority: Option<&Authority>) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return false;
    };
    // HTTP/2 names the host in the address.
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = authority.map(|it| it.as_str().as_bytes()).or(host);
    let host = host.unwrap_or_default();
    origin
        .as_bytes()
        .strip_prefix(b"http://")
        .is_some_and(|own| !own.is_empty() && own.eq_ignore_ascii_case(host))
}

/// The value of a header; something that means nothing if it is no text or there are several.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => "",
        (Some(value), None) => value.to_str().unwrap_or("?"),
        (Some(_), Some(_)) => "?",
    }
}

fn foreign() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "only the page itself may ask for this",
        "open the page in a window of its own",
    )
}

/// Adds to every answer what keeps it from being used by other pages.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    let is_static = request.uri().path().starts_with("/static/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Streams bring a value of their own, which lets them be kept.
    let kept = if is_static { "no-cache" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}

const SECURITY: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    // `no-referrer` would also make `Origin` empty in some browsers.
    ("referrer-policy", "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:8080"));
        for (name, value) in fields {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_the_very_same_origin_may_change_something() {
        let own = "http://localhost:8080";
        assert!(is_own_origin(&headers(&[("origin", own)]), None));
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:8080",
            "http://127.0.0.1:8080",
            "http://x.ws.localhost:8080",
            "http://localhost:8080.evil.test",
            "null",
            "http://",
            "",
        ] {
            assert!(
                !is_own_origin(&headers(&[("origin", origin)]), None),
                "{origin}"
            );
        }
        assert!(
            !is_own_origin(&headers(&[]), None),
            "browsers always say it"
        );
        let twice = headers(&[("origin", own), ("origin", own)]);
        assert!(!is_own_origin(&twice, None));
        let mut of_http2 = headers(&[("origin", own)]);
        of_http2.remove(header::HOST);
        let host = |text| Authority::from_static(text);
        assert!(is_own_origin(&of_http2, Some(&host("localhost:8080"))));
        assert!(!is_own_origin(&of_http2, Some(&host("evil.test"))));
        assert!(!is_own_origin(&of_http2, None));
    }

    #[test]
    fn only_the_page_itself_may_read() {
        let site = |value| comes_from_page(&headers(&[("sec-fetch-site", value)]));
        assert!(site("same-origin"));
        for other in ["same-site", "cross-site", "none", "SAME-ORIGIN", "unknown"] {
            assert!(!site(other), "{other}");
        }
        let twice = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(!comes_from_page(&headers(&twice)));
    }

    #[test]
    fn frames_and_scripts_are_no_visit() {
        let visit = |mode, dest| {
            is_whole_page(&headers(&[
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ]))
        };
        assert!(visit("navigate", "document"));
        for (mode, dest) in [
            ("navigate", "iframe"),
            ("navigate", "object"),
            ("no-cors", "script"),
            ("no-cors", "image"),
            ("cors", "empty"),
            ("websocket", "websocket"),
        ] {
            assert!(!visit(mode, dest), "{mode} {dest}");
        }
        assert!(!is_whole_page(&headers(&[("upgrade", "websocket")])));
        assert!(is_whole_page(&headers(&[("upgrade", "h2c")])), "of curl");
    }
}
