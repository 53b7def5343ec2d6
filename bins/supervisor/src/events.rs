use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, select_all};
use gitpod_lifecycle::gitpod_yml::{Ignored, Problem};
use gitpod_routing::Jitter;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_stream::wrappers::WatchStream;

use crate::ide::IdeState;
use crate::log::{Follow, Log};
use crate::utf8::Utf8;
use crate::workspace::{FileState, RunState, Workspace};

/// A reader that hears nothing for two of these takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(5);

/// What a reader of the events asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    /// Also the output of every task: the last so many bytes, and what follows.
    output: Option<u64>,
}

type Events = BoxStream<'static, Result<Event, Infallible>>;

/// Server-sent events `tasks`, `ports`, `ide` and `state`: each once at the beginning and then at every change, with the whole of
/// what it is about, so that a reader that missed some is right again after the next. With `?output=BYTES` also `output`, a
/// piece of a task's output, all in one connection, as browsers open only six to a server. Between them `alive` says that there is
/// nothing to say.
pub(crate) async fn events(
    State(workspace): State<Arc<Workspace>>,
    Query(wanted): Query<Wanted>,
) -> impl IntoResponse {
    let tasks = Arc::clone(&workspace);
    // After a restart not all browsers come back at once.
    let again = Event::default().retry(Jitter::RECONNECT.draw());
    let mut streams: Vec<Events> = vec![
        futures_util::stream::iter([Ok(again)]).boxed(),
        WatchStream::new(workspace.run_state.subscribe())
            .map(|state| event("state", &state_json(state)))
            .boxed(),
        WatchStream::new(workspace.ide_state.subscribe())
            .map(|state| event("ide", &ide_json(&state)))
            .boxed(),
        WatchStream::new(workspace.task_status.subscribe())
            .map(move |_| event("tasks", &json!({"tasks": tasks_json(&tasks)})))
            .boxed(),
        WatchStream::new(workspace.ports.subscribe())
            .map(|ports| event("ports", &json!({"ports": ports})))
            .boxed(),
    ];
    if let Some(tail) = wanted.output {
        streams.extend(
            workspace
                .logs()
                .map(|(id, log)| output(id.to_owned(), log, tail)),
        );
    }
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Sse::new(select_all(streams)).keep_alive(alive()))
}

/// An event, and no comment: scripts are not told of those.
fn alive() -> KeepAlive {
    let event = Event::default().event("alive").data("{}");
    KeepAlive::new().interval(ALIVE).event(event)
}

fn output(id: String, log: &Arc<Log>, tail: u64) -> Events {
    let mut text = Utf8::default();
    let chunks = log.read(Some(tail), Follow::Live);
    chunks
        .map(move |chunk| {
            event(
                "output",
                &json!({"id": id, "text": text.decode(&chunk.unwrap_or_default())}),
            )
        })
        .boxed()
}

fn event(name: &str, data: &Value) -> Result<Event, Infallible> {
    Ok(Event::default().event(name).data(data.to_string()))
}

fn state_json(state: RunState) -> Value {
    json!({"state": match state { RunState::Running => "running", RunState::Stopping => "stopping" }})
}

fn ide_json(state: &IdeState) -> Value {
    match state {
        IdeState::Off => json!({"state": "off"}),
        IdeState::Starting => json!({"state": "starting"}),
        IdeState::Ready { name, .. } => json!({"state": "ready", "name": name}),
        IdeState::Absent { why } => json!({"state": "absent", "error": why}),
    }
}

pub(crate) fn tasks_json(workspace: &Workspace) -> Value {
    json!(*workspace.task_status.borrow())
}

/// What became of `.gitpod.yml`: `state` is `absent`, `read` or `broken`.
pub(crate) fn file_json(workspace: &Workspace) -> Value {
    let ignored: Vec<Value> = workspace.file.ignored().iter().map(ignored_json).collect();
    match &workspace.file {
        FileState::Absent => json!({"state": "absent"}),
        FileState::Read(_) => json!({"state": "read", "ignored": ignored}),
        FileState::Broken(error) => {
            let problems: Vec<Value> = error.problems.iter().map(problem_json).collect();
            json!({"state": "broken", "problems": problems, "ignored": ignored})
        }
        FileState::Unreadable(error) => json!({"state": "broken", "ignored": ignored, "problems": [
            {"path": "", "line": 1, "column": 1, "message": error, "fix": "make the file readable"}
        ]}),
    }
}

fn ignored_json(it: &Ignored) -> Value {
    json!({"key": it.key, "line": it.line, "column": it.column, "reason": it.because.to_string()})
}

fn problem_json(it: &Problem) -> Value {
    json!({"path": it.path, "line": it.line, "column": it.column, "message": it.message, "fix": it.fix})
}
