//! What somebody is told when something is refused.

use askama::Template;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use gitpod_bridge::StoreError;
use gitpod_routing::Format;
use serde_json::json;

use crate::exit::Failure;
use crate::workspaces::WorkspaceError;

/// Why not, with what to do about it in `fix`.
///
/// [`explain`] gives it the form that its reader likes best.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    title: String,
    fix: String,
    sheet: Sheet,
}

/// Which page shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sheet {
    Plain,
    SignedOut { expired: bool },
}

impl Refusal {
    pub(super) fn new(status: StatusCode, title: impl Into<String>, fix: &str) -> Self {
        Self {
            status,
            title: title.into(),
            fix: fix.to_owned(),
            sheet: Sheet::Plain,
        }
    }

    /// Nobody knows this browser.
    pub(super) fn signed_out(status: StatusCode) -> Self {
        Self {
            sheet: Sheet::SignedOut { expired: false },
            ..Self::new(status, "this browser is not signed in", SIGN_IN)
        }
    }

    /// A link to sign in that was used, or waited too long.
    pub(super) fn link_expired() -> Self {
        let title = "this link does not work any more: it signs in once, within 15 minutes";
        Self {
            sheet: Sheet::SignedOut { expired: true },
            ..Self::new(StatusCode::UNAUTHORIZED, title, SIGN_IN)
        }
    }

    /// The form was not filled in well.
    pub(super) fn invalid(title: impl Into<String>, fix: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, title, fix)
    }

    fn drawn(&self, format: Format) -> Response {
        match format {
            Format::Html => self.html(),
            Format::Json => self.json(),
            _ => self.text(),
        }
    }

    /// RFC 9457.
    fn json(&self) -> Response {
        let body = json!({
            "type": "about:blank",
            "status": self.status.as_u16(),
            "title": self.title,
            "fix": self.fix,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }

    fn text(&self) -> Response {
        let fix = match self.fix.as_str() {
            "" => String::new(),
            fix => format!("\nfix: {fix}"),
        };
        (self.status, format!("{}{fix}\n", self.title)).into_response()
    }

    fn html(&self) -> Response {
        let page = match self.sheet {
            Sheet::Plain => RefusalPage {
                title: &sentence(&self.title),
                fix: &sentence(&self.fix),
            }
            .render(),
            Sheet::SignedOut { expired } => SignedOutPage { expired }.render(),
        };
        match page {
            Ok(html) => (self.status, Html(html)).into_response(),
            Err(_) => self.text(),
        }
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    title: &'a str,
    fix: &'a str,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage {
    expired: bool,
}

const SIGN_IN: &str = "run `gitpod open` and open the link that it prints";

/// What begins small in a line of a terminal begins large on a page.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// Without a form yet: [`explain`] knows who asked.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives refusals the form that their reader likes best: a page, JSON or plain text.
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let format = format(&request);
    let response = next.run(request).await;
    let Some(refusal) = response.extensions().get::<Refusal>() else {
        return response;
    };
    let mut drawn = refusal.drawn(format);
    let headers = drawn.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    for (name, value) in response.headers() {
        // Such as `Allow`; the length was that of no body.
        if *name != header::CONTENT_LENGTH && !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    drawn
}

/// As `Accept` says. Who has no wish is a program where programs ask, and a terminal else.
fn format(request: &Request) -> Format {
    let fields = || request.headers().get_all(header::ACCEPT).iter();
    let wants_text = fields().any(|field| {
        let field = field.as_bytes();
        field.windows(TEXT.len()).any(|part| part == TEXT)
    });
    match Format::preferred(fields()) {
        Format::Text if request.uri().path().starts_with("/api/") && !wants_text => Format::Json,
        format => format,
    }
}

const TEXT: &[u8] = b"text/plain";

impl From<WorkspaceError> for Refusal {
    fn from(error: WorkspaceError) -> Self {
        let status = match &error {
            WorkspaceError::NotFound(_) => StatusCode::NOT_FOUND,
            WorkspaceError::NotRunning(_) => StatusCode::CONFLICT,
            WorkspaceError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            WorkspaceError::DoesNotStop(_) => StatusCode::GATEWAY_TIMEOUT,
            WorkspaceError::Full { .. } | WorkspaceError::Store(StoreError::Full { .. }) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let chain =
            std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |e| {
                e.source()
            });
        let text: Vec<String> = chain.map(ToString::to_string).collect();
        let text = text.join(": ");
        match text.split_once("; fix: ") {
            Some((title, fix)) => Self::new(status, title, fix),
            None => Self::new(status, text, ""),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::invalid(failure.what_and_why(), failure.remedy())
    }
}

/// Nothing is at this path.
pub(super) async fn nothing_here() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "nothing is served at this path",
        "begin at /, the page of all workspaces",
    )
}

/// The path is there, and answers other methods.
pub(super) async fn wrong_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not answer that method",
        "begin at /, the page of all workspaces",
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn form_follows_accept_and_programs_get_json_where_programs_ask() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (path, accept, expected) in [
            ("/", browser, Format::Html),
            ("/open/x", "*/*", Format::Text),
            ("/open/x", "application/json", Format::Json),
            ("/api/events", "*/*", Format::Json),
            ("/api/events", "text/event-stream", Format::Json),
            ("/api/events", "text/plain", Format::Text),
            ("/api/events", browser, Format::Html),
        ] {
            let request = Request::get(path).header("accept", accept);
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(format(&request), expected, "{path} {accept}");
        }
    }

    #[test]
    fn attack_28_page_of_a_refusal_holds_no_markup_of_others() {
        let refusal = Refusal::invalid("\"<script>\" is no URL", "é: begin with https:// or /");
        let page = RefusalPage {
            title: &sentence(&refusal.title),
            fix: &sentence(&refusal.fix),
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("É: begin with"), "{html}");
    }
}
