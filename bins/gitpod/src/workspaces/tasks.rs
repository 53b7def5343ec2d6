//! How the tasks of a running workspace are doing.

use std::path::Path;
use std::time::Duration;

use gitpod_lifecycle::process::ShortPath;
use gitpod_routing::BoxError;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::local;

/// A supervisor answers at once; one that does not is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Some hundred tasks. What answers runs where the workspace's processes do.
const MOST_BYTES: usize = 256 * 1024;

/// What the supervisor that listens on `socket` says of its tasks; none if it says nothing.
pub(super) async fn tasks(socket: &Path) -> Vec<local::Task> {
    let told: Option<Told> = ask(socket, "/_supervisor/v1/status/tasks").await;
    let tasks = told.map(|told| told.tasks).unwrap_or_default();
    tasks.into_iter().map(local::Task::from).collect()
}

/// What the supervisor that listens on `socket` answers at `path`; `None` if it does not.
pub(super) async fn ask<T: DeserializeOwned>(socket: &Path, path: &'static str) -> Option<T> {
    match tokio::time::timeout(PATIENCE, try_ask(socket, path)).await {
        Ok(Ok(told)) => Some(told),
        Ok(Err(error)) => {
            tracing::debug!(error, path, "the supervisor does not tell");
            None
        }
        Err(_) => None,
    }
}

async fn try_ask<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, BoxError> {
    let stream = UnixStream::connect(ShortPath::of(socket)?.as_path()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(http::header::HOST, "supervisor")
        .body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let body = Limited::new(response.into_body(), MOST_BYTES);
        Ok::<_, BoxError>(body.collect().await?.to_bytes())
    };
    let (body, _) = tokio::join!(answer, connection);
    Ok(serde_json::from_slice(&body?)?)
}

#[derive(Deserialize)]
struct Told {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    name: String,
    state: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
    error: Option<String>,
}

impl From<Task> for local::Task {
    fn from(task: Task) -> Self {
        Self {
            name: task.name,
            state: task.state,
            exit_code: task.exit_code,
            signal: task.signal,
            error: task.error.unwrap_or_default(),
        }
    }
}
