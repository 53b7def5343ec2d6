use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gitpod_lifecycle::process::Network;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};

use crate::events::{events, file_json, tasks_json};
use crate::ide::IdeState;
use crate::log::Follow;
use crate::page;
use crate::tunnel;
use crate::workspace::{RunState, Workspace};

type Shared = State<Arc<Workspace>>;

/// Answers on the socket until it is dropped.
pub(crate) async fn serve(listener: UnixListener, workspace: Arc<Workspace>) {
    let connect = match workspace.config.network {
        Network::Own => Connect::Allowed,
        _ => Connect::Refused,
    };
    let router = router(workspace);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, router.clone(), connect))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await; // out of files: others must end first
            }
        }
    }
}

/// Whether ports of loopback are reached through the socket.
#[derive(Clone, Copy, Debug)]
enum Connect {
    Allowed,
    Refused,
}

/// Without a limit on idle time: the other end is the proxy, whose pool closes what it does not need.
async fn answer(stream: UnixStream, router: Router, connect: Connect) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            match connect {
                Connect::Allowed if request.method() == Method::CONNECT => {
                    Ok(tunnel::open(request).await)
                }
                _ => router.call(request).await,
            }
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

fn router(workspace: Arc<Workspace>) -> Router {
    Router::new()
        .route("/", get(page::home))
        .route("/_supervisor", get(page::home))
        .route("/_supervisor/", get(page::home))
        .route("/_supervisor/static/{name}", get(page::asset))
        .route("/_supervisor/v1/status/supervisor", get(status_supervisor))
        .route(
            "/_supervisor/v1/status/supervisor/{*wait}",
            get(status_supervisor),
        )
        .route("/_supervisor/v1/status/ide", get(status_ide))
        .route("/_supervisor/v1/status/ide/wait/{wait}", get(wait_for_ide))
        .route("/_supervisor/v1/status/content", get(status_content))
        .route(
            "/_supervisor/v1/status/content/wait/{wait}",
            get(status_content),
        )
        .route("/_supervisor/v1/status/ports", get(status_ports))
        .route("/_supervisor/v1/status/tasks", get(status_tasks))
        .route("/_supervisor/v1/tasks/{id}/log", get(task_log))
        .route("/_supervisor/v1/events", get(events))
        .fallback(nothing_here)
        .method_not_allowed_fallback(only_get)
        .with_state(workspace)
}

async fn nothing_here() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "nothing is served at this path",
        "see /_supervisor/ for the workspace's page",
    )
}

async fn only_get() -> Response {
    refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "the supervisor only answers GET and HEAD",
        "use GET",
    )
}

pub(crate) fn refuse(status: StatusCode, message: &str, fix: &str) -> Response {
    (
        status,
        Json(json!({"error": {"message": message, "fix": fix}})),
    )
        .into_response()
}

async fn status_supervisor(State(workspace): Shared) -> Json<Value> {
    let stopping = *workspace.run_state.borrow() == RunState::Stopping;
    Json(json!({"ok": true, "stopping": stopping}))
}

async fn status_ide(State(workspace): Shared) -> Response {
    ide_json(&workspace.ide_state.borrow()).into_response()
}

/// Ends when the editor answers, or can never.
async fn wait_for_ide(State(workspace): Shared) -> Response {
    let mut state = workspace.ide_state.subscribe();
    let settled = state
        .wait_for(|state| !matches!(state, IdeState::Starting))
        .await;
    settled.map_or_else(
        |_| StatusCode::SERVICE_UNAVAILABLE.into_response(),
        |state| ide_json(&state).into_response(),
    )
}

fn ide_json(state: &IdeState) -> Json<Value> {
    Json(match state {
        IdeState::Off => json!({"ok": true}),
        IdeState::Starting => json!({"ok": false}),
        IdeState::Ready { port, name } => json!({"ok": true, "port": port, "name": name}),
        IdeState::Absent { why } => json!({"ok": true, "error": why}),
    })
}

async fn status_content(State(workspace): Shared) -> Json<Value> {
    Json(json!({"available": true, "source": workspace.config.content_source}))
}

async fn status_ports(State(workspace): Shared) -> Json<Value> {
    Json(json!({"ports": *workspace.ports.borrow()}))
}

async fn status_tasks(State(workspace): Shared) -> Json<Value> {
    Json(json!({"tasks": tasks_json(&workspace), "config": file_json(&workspace)}))
}

#[derive(Debug, Deserialize)]
struct LogQuery {
    /// `1`: go on while the task writes.
    #[serde(default)]
    follow: u8,
    /// Only the last bytes.
    tail: Option<u64>,
}

async fn task_log(
    State(workspace): Shared,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
) -> Response {
    let Some(log) = workspace.log(&id) else {
        return refuse(
            StatusCode::NOT_FOUND,
            "no task has this id",
            "see /_supervisor/v1/status/tasks",
        );
    };
    let follow = if query.follow == 0 {
        Follow::UntilNow
    } else {
        Follow::Live
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
    ];
    (headers, Body::from_stream(log.read(query.tail, follow))).into_response()
}
