//! What happens, as server-sent events.
//!
//! | event | data | |
//! |---|---|---|
//! | `workspaces` | `{"ids": […]}` | which there are, the newest first; whenever that changes |
//! | `workspace` | everything about one | for each at the beginning, then for each that changes |
//! | `progress` | `{"id", "instance_id", "step", "percent"}` | how far the content of one is |
//! | `alive` | `{}` | nothing has happened for five seconds; no comment, of which scripts are not told |
//!
//! Each connection is told another time after which to come again, should it end (`retry`).
//! Each `workspace` is whole, so a script that missed some is right again after the
//! next, and a new connection begins with all of them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use gitpod_routing::Jitter;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Page, card};
use crate::local::{self, event::Kind};

/// How often running workspaces are looked at: ports come and go without an event.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What comes in one go is told in one go.
const SETTLE: Duration = Duration::from_millis(30);
/// A script that hears nothing for two of these takes the connection for dead.
const ALIVE: Duration = Duration::from_secs(5);
const QUEUE: usize = 64;

type Told = Result<Event, Infallible>;

pub(super) async fn events(
    State(page): State<Page>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Told>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let teller = Teller {
        session: page.session_of(&headers).unwrap_or_default(),
        page: page.clone(),
        sender,
        ids: Value::Null,
        told: HashMap::new(),
    };
    let closing = page.shared.closing.clone();
    let tell = Box::pin(teller.tell_all());
    tokio::spawn(async move { closing.run_until_cancelled(tell).await });
    let alive = Event::default().event("alive").data("{}");
    let alive = KeepAlive::new().interval(ALIVE).event(alive);
    Sse::new(ReceiverStream::new(receiver)).keep_alive(alive)
}

/// Tells one browser what is new for it.
struct Teller {
    page: Page,
    session: String,
    sender: mpsc::Sender<Told>,
    ids: Value,
    /// What was told last of each workspace.
    told: HashMap<String, Value>,
}

/// The browser, or its right to listen, is gone.
struct Gone;

impl Teller {
    async fn tell_all(mut self) -> Result<(), Gone> {
        let mut events = self.page.shared.workspaces.watch();
        // After a restart not all browsers come back at once.
        let again = Event::default().retry(Jitter::RECONNECT.draw());
        self.sender.send(Ok(again)).await.map_err(|_| Gone)?;
        loop {
            self.tell_news().await?;
            let look_again = tokio::time::sleep(LOOK_EVERY);
            tokio::pin!(look_again);
            loop {
                tokio::select! {
                    () = &mut look_again => break,
                    () = self.sender.closed() => return Err(Gone),
                    event = events.recv() => match event.map(|event| event.kind) {
                        Ok(Some(Kind::Progress(step))) => self.send("progress", &progress(&step)).await?,
                        Ok(_) | Err(RecvError::Lagged(_)) => {
                            tokio::time::sleep(SETTLE).await;
                            break;
                        }
                        Err(RecvError::Closed) => return Err(Gone),
                    },
                }
            }
            if !self.page.shared.sessions.is_signed_in(&self.session) {
                return Err(Gone);
            }
        }
    }

    async fn tell_news(&mut self) -> Result<(), Gone> {
        let workspaces = self.page.shared.workspaces.clone();
        let Ok(all) = workspaces.list().await else {
            return Ok(()); // it is looked again soon
        };
        for workspace in &all {
            if self.knows_the_end_of(workspace) {
                continue;
            }
            let Ok(id) = workspace.id.parse() else {
                continue;
            };
            let Ok(described) = workspaces.describe(&id).await else {
                continue; // deleted meanwhile
            };
            let shares = workspaces.shares(&id).await.unwrap_or_default();
            let card = card::card(&described, &shares);
            if self.told.get(&workspace.id) != Some(&card) {
                self.send("workspace", &card).await?;
                self.told.insert(workspace.id.clone(), card);
            }
        }
        let ids: Value = all.iter().map(|workspace| workspace.id.as_str()).collect();
        if ids != self.ids {
            self.send("workspaces", &json!({"ids": ids})).await?;
            self.told
                .retain(|id, _| all.iter().any(|known| known.id == *id));
            self.ids = ids;
        }
        Ok(())
    }

    /// Of a run that is over nothing changes any more.
    fn knows_the_end_of(&self, workspace: &local::Workspace) -> bool {
        self.told.get(&workspace.id).is_some_and(|told| {
            workspace.phase == "stopped"
                && told["phase"] == "stopped"
                && told["instance_id"] == workspace.instance_id.as_str()
                && told["failure"] == workspace.failure.as_str()
        })
    }

    async fn send(&self, name: &str, data: &Value) -> Result<(), Gone> {
        let event = Event::default().event(name).data(data.to_string());
        self.sender.send(Ok(event)).await.map_err(|_| Gone)
    }
}

fn progress(step: &local::Progress) -> Value {
    json!({
        "id": step.workspace_id,
        "instance_id": step.instance_id,
        "step": step.step,
        "percent": step.percent,
    })
}
