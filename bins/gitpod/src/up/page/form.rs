//! What comes with a request, read in our own words.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::refusal::{self, Refusal};

/// The body of a change: JSON with the fields of `T`.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|why| unread(why.status()))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|why| unfit(why.classify()))
    }
}

fn unread(status: StatusCode) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
            status,
            "the body is too long",
            "send what fits into 16 KiB: no form of the page is longer",
        ),
        _ => Refusal::new(
            StatusCode::BAD_REQUEST,
            "the body did not come whole",
            "send it again",
        ),
    }
}

fn unfit(why: Category) -> Refusal {
    match why {
        Category::Data => Refusal::invalid(
            "the body has not the fields that are wanted here",
            "reload the page: it may be older than the `gitpod up` that runs",
        ),
        _ => Refusal::new(
            StatusCode::BAD_REQUEST,
            "the body is not JSON",
            "send JSON, as the page does",
        ),
    }
}

/// The variable parts of a path.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(refusal::nothing_here().await), // what they escape is no text
        }
    }
}
