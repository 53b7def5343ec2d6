//! Explanations as a page.

use askama::Template;
use http::HeaderValue;

use crate::info::RunState;
use crate::jitter::Jitter;
use crate::pages::Page;
use crate::pages::text::Explanation;
use crate::refusal::Refusal;

/// What the template is filled with. Everything is escaped by the template engine.
#[derive(Debug, Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'e> {
    title: &'e str,
    advice: &'e str,
    status: u16,
    reason: &'e str,
    reload_seconds: Option<u64>,
    start_url: Option<&'e str>,
    open_url: Option<&'e str>,
    command: Option<&'e str>,
}

pub(crate) fn page(explanation: &Explanation, refusal: &Refusal) -> Page {
    let page = RefusalPage {
        title: &explanation.title,
        advice: &explanation.advice,
        status: refusal.status().as_u16(),
        reason: refusal.reason(),
        reload_seconds: reload_seconds(refusal),
        start_url: explanation.start_url.as_deref(),
        open_url: explanation.way_in.as_ref().map(|way| way.url.as_str()),
        command: explanation.way_in.as_ref().map(|way| way.command.as_str()),
    };
    match page.render() {
        Ok(text) => {
            let page = Page::new(HeaderValue::from_static("text/html; charset=utf-8"), text);
            page.with_policy(HeaderValue::from_static(POLICY))
        }
        Err(_) => explanation.text(),
    }
}

/// It has the style of the template, named by its hash, and loads and sends nothing.
const POLICY: &str = "default-src 'none'; style-src 'sha256-D2Ba+97WbkqSvQBeJKOvuyoY8UyylYI/p9lp7ieMBVw='; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Pages that turn into something else by themselves reload, not all of them at once.
fn reload_seconds(refusal: &Refusal) -> Option<u64> {
    let jitter = match refusal {
        Refusal::NotListening(_) | Refusal::Unreachable(_) => SLOW,
        Refusal::NotRunning(RunState::Starting) | Refusal::NotListeningYet(_) => QUICK,
        _ if refusal.is_transient() => Jitter::RETRY,
        _ => return None,
    };
    Some(jitter.seconds())
}

/// Somebody waits for it, and it is held until there is something to show, or for a second.
const QUICK: Jitter = Jitter::between(1000, 2000);
/// The reference has five seconds.
const SLOW: Jitter = Jitter::between(4000, 6000);

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of the style needs another hash, or browsers show the page without.
    #[cfg(feature = "sign-in")]
    #[test]
    fn policy_names_the_style_that_the_page_has() {
        use base64::Engine as _;
        use sha2::Digest as _;

        let refusal = Refusal::NoSuchWorkspace;
        let page = page(&Explanation::of(&refusal), &refusal);
        let html = str::from_utf8(&page.body).unwrap();
        let style = html.split("<style>").nth(1).unwrap();
        let style = style.split("</style>").next().unwrap();
        let hash = sha2::Sha256::digest(style);
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        let policy = page.policy.unwrap();
        let policy = policy.to_str().unwrap();
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}';")),
            "{hash}"
        );
        assert!(
            !html.contains("style=") && !policy.contains("unsafe"),
            "{html}"
        );
    }

    #[test]
    fn text_is_escaped() {
        let explanation = Explanation {
            title: "<script>alert(1)</script>".into(),
            advice: "\"'&<>".into(),
            start_url: Some("https://example.com/\"><script>alert(2)</script>".into()),
            way_in: Some(crate::pages::WayIn::new("http://\"><script>", "<script>")),
        };
        let page = page(&explanation, &Refusal::NoSuchWorkspace);
        let html = str::from_utf8(&page.body).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("\"'&<>"), "{html}");
    }
}
