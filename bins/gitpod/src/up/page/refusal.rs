//! What the page's script is told when something is refused.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gitpod_bridge::StoreError;
use serde_json::json;

use crate::exit::Failure;
use crate::workspaces::WorkspaceError;

/// A refusal as `application/problem+json` (RFC 9457), with what to do about it in `fix`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    title: String,
    fix: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, title: impl Into<String>, fix: &str) -> Self {
        Self {
            status,
            title: title.into(),
            fix: fix.to_owned(),
        }
    }

    /// The form was not filled in well.
    pub(super) fn invalid(title: impl Into<String>, fix: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, title, fix)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "status": self.status.as_u16(),
            "title": self.title,
            "fix": self.fix,
        });
        let mut response = (self.status, Json(body)).into_response();
        let kind = http::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<WorkspaceError> for Refusal {
    fn from(error: WorkspaceError) -> Self {
        let status = match &error {
            WorkspaceError::NotFound(_) => StatusCode::NOT_FOUND,
            WorkspaceError::NotRunning(_) => StatusCode::CONFLICT,
            WorkspaceError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            WorkspaceError::DoesNotStop(_) => StatusCode::GATEWAY_TIMEOUT,
            WorkspaceError::Store(StoreError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
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

pub(super) async fn nothing_here() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "nothing is served at this path",
        "see / for the page",
    )
}

pub(super) async fn wrong_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not answer that method",
        "see / for the page",
    )
}
