//! What operators ask, through the unix socket in the state directory.
//!
//! | | |
//! |---|---|
//! | `GET /v1/hosts` | all hosts |
//! | `POST /v1/hosts` | `{"name", "kind", "endpoints"}` → the host and its token |
//! | `POST /v1/hosts/NAME/token` | → another token |
//! | `POST /v1/hosts/NAME/block` | shuts the host out |
//!
//! Whoever can open the socket may do all of that: it is for the server's own user (mode 0600).

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use gitpod_gateway::{Host, HostKind, HostState, NewHost, Registry};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Refused;

/// What operators ask of `registry`.
pub(crate) fn routes(registry: Registry) -> Router {
    Router::new()
        .route("/v1/hosts", get(list).post(add))
        .route("/v1/hosts/{name}/token", post(token))
        .route("/v1/hosts/{name}/block", post(block))
        .layer(DefaultBodyLimit::max(16 * 1024))
        .with_state(registry)
}

#[derive(Deserialize)]
struct Added {
    name: String,
    kind: HostKind,
    #[serde(default)]
    endpoints: Vec<String>,
}

type Answer = Result<Json<Value>, Refused>;

async fn list(State(registry): State<Registry>) -> Answer {
    let hosts = registry.hosts().await?;
    Ok(Json(
        json!({ "hosts": hosts.iter().map(shown).collect::<Vec<_>>() }),
    ))
}

async fn add(State(registry): State<Registry>, Json(added): Json<Value>) -> Answer {
    let added = Added::deserialize(&added).map_err(|_| Refused::malformed())?;
    let new = NewHost::new(added.name, added.kind).with_endpoints(added.endpoints);
    let (host, token) = registry.add(new, Timestamp::now()).await?;
    tracing::info!(host = host.name, address = host.address, "host was added");
    Ok(Json(
        json!({ "host": shown(&host), "token": token.expose() }),
    ))
}

async fn token(State(registry): State<Registry>, Path(name): Path<String>) -> Answer {
    let token = registry.issue_token(&name, Timestamp::now()).await?;
    tracing::info!(host = name, "a way to join anew was issued");
    Ok(Json(json!({ "token": token.expose() })))
}

async fn block(State(registry): State<Registry>, Path(name): Path<String>) -> Answer {
    let host = registry.block(&name, Timestamp::now()).await?;
    tracing::info!(host = name, "host was blocked");
    Ok(Json(json!({ "host": shown(&host) })))
}

/// What is of use to people.
fn shown(host: &Host) -> Value {
    let not_after = host
        .certificates
        .iter()
        .map(|issued| issued.not_after)
        .max();
    json!({
        "name": host.name,
        "kind": host.kind.as_str(),
        "address": host.address,
        "endpoints": host.endpoints,
        "state": match host.state {
            HostState::Reserved => "reserved",
            HostState::Enrolled => "enrolled",
            _ => "blocked",
        },
        "not_after": not_after,
        "last_seen": host.last_seen,
    })
}
