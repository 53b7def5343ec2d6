//! What hosts ask, over TLS.
//!
//! | | |
//! |---|---|
//! | `POST /v1/enroll` | `EnrollRequest` → `ConfigBundle` with a certificate |
//! | `POST /v1/call` | `HostCall` → `ConfigBundle`: what has changed, or a new certificate |
//!
//! Refusals are `{"error": {"reason": "TOKEN_SPENT", "message": …}}`.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use gitpod_gateway::{ConfigBundle, EnrollRequest, HostCall, Registry, RegistryError};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

/// Requests are some hundred bytes.
const MOST: usize = 16 * 1024;

/// What hosts ask of `registry`.
pub(crate) fn routes(registry: Registry) -> Router {
    Router::new()
        .route("/v1/enroll", post(enroll))
        .route("/v1/call", post(call))
        .layer(DefaultBodyLimit::max(MOST))
        .with_state(registry)
}

type Asked<T> = Result<Json<T>, JsonRejection>;

async fn enroll(
    State(registry): State<Registry>,
    request: Asked<EnrollRequest>,
) -> Result<Json<ConfigBundle>, Refused> {
    let Json(request) = request.map_err(|_| Refused::malformed())?;
    let bundle = counted("enroll", registry.enroll(&request, Timestamp::now()).await)?;
    tracing::info!(host = bundle.host, "host has joined");
    Ok(Json(bundle))
}

async fn call(
    State(registry): State<Registry>,
    request: Asked<HostCall>,
) -> Result<Json<ConfigBundle>, Refused> {
    let Json(request) = request.map_err(|_| Refused::malformed())?;
    let bundle = counted("call", registry.answer(&request, Timestamp::now()).await)?;
    if bundle.certificate.is_some() {
        tracing::info!(host = bundle.host, until = %bundle.not_after, "host has a new certificate");
    }
    Ok(Json(bundle))
}

/// Counts `gitpod_gateway_requests_total{what, result}`.
fn counted<T>(what: &'static str, result: Result<T, RegistryError>) -> Result<T, Refused> {
    let reason = result.as_ref().map_or_else(RegistryError::reason, |_| "OK");
    metrics::counter!("gitpod_gateway_requests_total", "what" => what, "result" => reason)
        .increment(1);
    result.map_err(Refused::from)
}

/// A refusal, as it is told.
pub(crate) struct Refused {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refused {
    pub(crate) fn malformed() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: "MALFORMED",
            message: "request is not what is expected here".to_owned(),
        }
    }
}

impl From<RegistryError> for Refused {
    fn from(why: RegistryError) -> Self {
        let status = match &why {
            RegistryError::BadName(_)
            | RegistryError::NoEndpoint
            | RegistryError::EndpointNotNeeded
            | RegistryError::ClockSkew => StatusCode::BAD_REQUEST,
            RegistryError::TokenInvalid
            | RegistryError::TokenExpired
            | RegistryError::TokenSpent
            | RegistryError::BadSignature => StatusCode::UNAUTHORIZED,
            RegistryError::HostBlocked | RegistryError::KeyBlocked => StatusCode::FORBIDDEN,
            RegistryError::NoHost(_) => StatusCode::NOT_FOUND,
            RegistryError::NameTaken(_) => StatusCode::CONFLICT,
            other if other.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(why = &why as &dyn std::error::Error, "cannot answer");
        } else {
            tracing::info!(reason = why.reason(), "refused");
        }
        Self {
            status,
            reason: why.reason(),
            message: why.to_string(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "reason": self.reason, "message": self.message } });
        (self.status, Json(body)).into_response()
    }
}
