//! Telling watchers when somebody begins to listen on a port, or ceases to.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use gitpod_lifecycle::process::ShortPath;
use gitpod_routing::{BoxError, InstanceId, WorkspaceId};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::Workspaces;
use super::ports::Told;
use crate::local::{self, event::Kind};

/// How long to wait before a supervisor is asked again that has ended its answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What answers runs where the workspace's processes do: a line is no longer than this.
const LONGEST: usize = 256 * 1024;

/// Tells watchers of each running workspace whose ports change, as its supervisor says.
/// Goes on until the process ends.
pub(crate) async fn follow_ports(workspaces: Workspaces) {
    let mut events = workspaces.watch();
    let mut runs = Runs {
        workspaces,
        followed: BTreeSet::new(),
        tasks: JoinSet::new(),
    };
    runs.follow_all().await;
    loop {
        tokio::select! {
            event = events.recv() => match event.map(|event| event.kind) {
                Ok(Some(Kind::Workspace(workspace))) => runs.follow(&workspace),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => runs.follow_all().await,
                Err(RecvError::Closed) => return,
            },
            Some(ended) = runs.tasks.join_next() => {
                // Fails only if it has panicked; then its run is not followed any more.
                if let Ok(instance) = ended {
                    runs.followed.remove(&instance);
                }
            }
        }
    }
}

/// Those that are followed.
struct Runs {
    workspaces: Workspaces,
    followed: BTreeSet<String>,
    tasks: JoinSet<String>,
}

impl Runs {
    async fn follow_all(&mut self) {
        for workspace in self.workspaces.list().await.unwrap_or_default() {
            self.follow(&workspace);
        }
    }

    fn follow(&mut self, workspace: &local::Workspace) {
        if workspace.phase != "running" || self.followed.contains(&workspace.instance_id) {
            return;
        }
        let (Ok(id), Ok(instance)) = (workspace.id.parse(), workspace.instance_id.parse()) else {
            return;
        };
        self.followed.insert(workspace.instance_id.clone());
        let workspaces = self.workspaces.clone();
        self.tasks.spawn(follow_run(workspaces, id, instance));
    }
}

/// Follows one run to its end, and tells which one it was.
async fn follow_run(workspaces: Workspaces, id: WorkspaceId, instance: InstanceId) -> String {
    let socket = workspaces.layout().socket(&instance);
    let mut served = BTreeSet::new();
    loop {
        if let Err(error) = listen(&workspaces, &id, &socket, &mut served).await {
            tracing::debug!(error, %instance, "the supervisor does not tell of ports");
        }
        match workspaces.get(&id).await {
            Ok(now) if now.phase == "running" && now.instance_id == instance.as_str() => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            _ => return instance.to_string(),
        }
    }
}

/// Hears the supervisor on `socket` out.
async fn listen(
    workspaces: &Workspaces,
    id: &WorkspaceId,
    socket: &Path,
    served: &mut BTreeSet<u16>,
) -> Result<(), BoxError> {
    let stream = UnixStream::connect(ShortPath::of(socket)?.as_path()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/_supervisor/v1/events")
        .header(http::header::HOST, "supervisor")
        .body(Empty::<Bytes>::new())?;
    let heard = async move {
        let mut body = sender.send_request(request).await?.into_body();
        let mut events = Events::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            for now in events.ports(&data)? {
                if now != *served {
                    *served = now;
                    workspaces.send_workspace(id).await;
                }
            }
        }
        Ok(())
    };
    let (heard, _) = tokio::join!(heard, connection);
    heard
}

/// Server-sent events, of which only `ports` is of interest.
#[derive(Default)]
struct Events {
    begun: Vec<u8>,
    is_ports: bool,
}

impl Events {
    /// Which ports are listened on, for each time that `data` says so.
    fn ports(&mut self, data: &[u8]) -> Result<Vec<BTreeSet<u16>>, BoxError> {
        let mut told = Vec::new();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if self.begun.len() > LONGEST {
                return Err("an event is too long".into());
            }
            if !piece.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.begun);
            let line = line.trim_ascii_end();
            if let Some(name) = line.strip_prefix(b"event:") {
                self.is_ports = name.trim_ascii() == b"ports";
            } else if let Some(data) = line.strip_prefix(b"data:")
                && self.is_ports
            {
                told.push(serde_json::from_slice::<Told>(data)?.served());
            }
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_of_events_that_come_in_any_pieces() {
        let text = b"event: tasks\ndata: {\"tasks\":[]}\n\n: alive\n\nevent: ports\ndata: \
            {\"ports\":[{\"localPort\":80,\"served\":true},{\"localPort\":81,\"served\":false}]}\n\n";
        for length in 1..text.len() {
            let mut events = Events::default();
            let told: Vec<_> = text
                .chunks(length)
                .flat_map(|piece| events.ports(piece).unwrap())
                .collect();
            assert_eq!(told, [BTreeSet::from([80])], "{length}");
        }
        let endless = vec![b'x'; LONGEST + 1];
        assert!(Events::default().ports(&endless).is_err());
    }
}
