//! The service that the command line talks to.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use gitpod_lifecycle::{StopPolicy, WorkspaceName};
use gitpod_routing::{InstanceId, WorkspaceId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::logs::TaskLogs;
use super::{Definition, WorkspaceError, Workspaces, tasks, wake};
use crate::client;
use crate::local::event::Kind;
use crate::local::start_request::What;
use crate::local::workspaces_server;
use crate::local::{
    DeleteRequest, DeleteResponse, DescribeRequest, DescribeResponse, Event, ListRequest,
    ListResponse, LogsRequest, LogsResponse, StartRequest, StopRequest, StopResponse, WatchRequest,
};

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// After how long without news a follower looks for itself.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How many messages wait for a slow client before the sender does.
const QUEUE: usize = 64;

#[tonic::async_trait]
impl workspaces_server::Workspaces for Workspaces {
    type StartStream = Events<Event>;
    type LogsStream = Events<LogsResponse>;
    type WatchStream = Events<Event>;

    async fn start(
        &self,
        request: Request<StartRequest>,
    ) -> Result<Response<Self::StartStream>, Status> {
        let request = request.into_inner();
        let timeout = Some(request.timeout).filter(|timeout| !timeout.is_empty());
        let wake = wake::policy(&request.wake)?;
        // Before anything happens, so that nothing is missed.
        let events = self.watch();
        let all = self.clone();
        let (id, instance) = match request.what {
            Some(What::Repository(repository)) => {
                let mut definition = Definition::from(repository);
                definition.timeout = timeout;
                definition.wake = wake.unwrap_or_default();
                let id = Some(request.new_id).filter(|id| !id.is_empty());
                let id = id.as_deref().map(parse).transpose()?;
                whole(async move { all.create_once(id, definition).await }).await?
            }
            Some(What::WorkspaceId(id)) if !request.follow_instance_id.is_empty() => {
                let instance = request.follow_instance_id.parse();
                (parse(&id)?, instance.map_err(WorkspaceError::from)?)
            }
            Some(What::WorkspaceId(id)) if !request.after_instance_id.is_empty() => {
                let id = parse(&id)?;
                let ended = request.after_instance_id.parse();
                let ended: InstanceId = ended.map_err(WorkspaceError::from)?;
                let start = async move {
                    all.start_after(&id, &ended).await?;
                    Ok((id, ended))
                };
                whole(start).await?
            }
            Some(What::WorkspaceId(id)) => {
                let id = parse(&id)?;
                let start = async move {
                    let instance = Self::start(&all, &id, timeout, wake).await?;
                    Ok((id, instance))
                };
                whole(start).await?
            }
            None => return Err(Status::invalid_argument("neither repository nor workspace")),
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        if request.no_wait {
            let kind = Some(Kind::Workspace(self.get(&id).await?));
            let _ = sender.send(Ok(Event { kind })).await;
        } else {
            tokio::spawn(follow(self.clone(), (id, instance), events, sender));
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let workspaces = Self::list(self).await?;
        Ok(Response::new(ListResponse { workspaces }))
    }

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let id = parse(&request.into_inner().workspace_id)?;
        Ok(Response::new(Self::describe(self, &id).await?))
    }

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        let instance = match request.instance_id.as_str() {
            "" => self.get(&id).await?.instance_id.parse(),
            of_one => of_one.parse(),
        };
        let instance = instance.map_err(WorkspaceError::from)?;
        let dir = self.layout().logs(&WorkspaceName::from(&id), &instance);
        let dir = dir.map_err(WorkspaceError::from)?;
        let task = Some(request.task).filter(|task| !task.is_empty());
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut logs = TaskLogs::new(dir, task.clone()).read_to(&request.read_to);
        let others = logs.others().await.map_err(WorkspaceError::from)?;
        if let (Some(task), Some(others)) = (task, others) {
            return Err(no_such_task(&task, &others).into());
        }
        let socket = self.layout().socket(&instance);
        let until = match request.follow {
            true => Until::Stopped(self.clone(), id, instance.clone(), socket),
            false => Until::Read,
        };
        tokio::spawn(send_logs(until, logs, instance, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopResponse>, Status> {
        let request = request.into_inner();
        let policy = if request.immediately {
            StopPolicy::Immediately
        } else {
            StopPolicy::Normally
        };
        let (all, id) = (self.clone(), parse(&request.workspace_id)?);
        whole(async move { Self::stop(&all, &id, policy).await }).await?;
        Ok(Response::new(StopResponse {}))
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        let was_asked = request.metadata().contains_key(client::AGAIN.as_str());
        let (all, id) = (self.clone(), parse(&request.into_inner().workspace_id)?);
        let deleted = whole(async move { Self::delete(&all, &id).await }).await;
        match deleted {
            // By whoever was asked before.
            Err(why) if was_asked && why.code() == Code::NotFound => {}
            deleted => deleted?,
        }
        Ok(Response::new(DeleteResponse {}))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(forward(Self::watch(self), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Done to its end, also if the command that asked for it is killed meanwhile: what stands
/// between a row and its run would be done by nobody.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, WorkspaceError>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(why) => Err(Status::internal(format!(
            "it ended halfway: {why}; fix: look into the logs of `gitpod up`"
        ))),
    }
}

/// What is no id names no workspace.
pub(super) fn parse(id: &str) -> Result<WorkspaceId, WorkspaceError> {
    id.parse()
        .map_err(|_| WorkspaceError::NotFound(id.escape_debug().to_string()))
}

fn no_such_task(task: &str, others: &[String]) -> WorkspaceError {
    WorkspaceError::Invalid(format!(
        "there is no task {task:?}; fix: name one of: {}",
        others.join(", ")
    ))
}

/// Sends what happens to a run of a workspace until it runs or has stopped.
async fn follow(
    workspaces: Workspaces,
    (id, instance): (WorkspaceId, InstanceId),
    mut events: broadcast::Receiver<Event>,
    sender: mpsc::Sender<Result<Event, Status>>,
) {
    let mut next = Some(workspaces.get(&id).await.map(Kind::Workspace));
    loop {
        match next.take() {
            Some(Ok(kind)) => {
                let done = matches!(&kind, Kind::Workspace(w) if w.phase == "running" || w.phase == "stopped");
                let event = Event { kind: Some(kind) };
                if sender.send(Ok(event)).await.is_err() || done {
                    return;
                }
            }
            Some(Err(why)) => {
                let _ = sender.send(Err(why.into())).await;
                return;
            }
            None => {}
        }
        next = match tokio::time::timeout(LOOK_AGAIN, events.recv()).await {
            Ok(Ok(event)) => event.kind.filter(|kind| is_about(kind, &instance)).map(Ok),
            Ok(Err(RecvError::Closed)) => return,
            // Nothing was said for long, or too much at once.
            Err(_) | Ok(Err(RecvError::Lagged(_))) => Some(match workspaces.has_room() {
                Ok(()) => workspaces.get(&id).await.map(Kind::Workspace),
                Err(why) => Err(why),
            }),
        };
    }
}

/// Whether it is about this run: the end of the one before may be told late.
fn is_about(kind: &Kind, instance: &InstanceId) -> bool {
    match kind {
        Kind::Workspace(workspace) => workspace.instance_id == instance.as_str(),
        Kind::Progress(progress) => progress.instance_id == instance.as_str(),
    }
}

async fn forward(
    mut events: broadcast::Receiver<Event>,
    sender: mpsc::Sender<Result<Event, Status>>,
) {
    loop {
        let message = match events.recv().await {
            Ok(event) => Ok(event),
            Err(RecvError::Lagged(lost)) => Err(Status::data_loss(format!(
                "too slow: {lost} events are lost; fix: watch again, then list"
            ))),
            Err(RecvError::Closed) => return,
        };
        let last = message.is_err();
        if sender.send(message).await.is_err() || last {
            return;
        }
    }
}

/// How long logs are sent.
enum Until {
    /// What there is has been read.
    Read,
    /// The workspace has stopped, or the one task that is asked for: of whose supervisor
    /// this is the socket.
    Stopped(Workspaces, WorkspaceId, InstanceId, PathBuf),
}

impl Until {
    async fn is_over(&self) -> bool {
        match self {
            Self::Read => true,
            Self::Stopped(workspaces, id, instance, _) => {
                let now = workspaces.get(id).await;
                now.map_or(true, |now| {
                    now.phase == "stopped" || now.instance_id != instance.as_str()
                })
            }
        }
    }

    /// Whether the task of `logs` has ended, and only what it has left behind may print.
    async fn has_ended(&self, logs: &TaskLogs) -> bool {
        match self {
            Self::Stopped(.., socket) if logs.is_of_one() => {
                let tasks = tasks::tasks(socket).await;
                let mut ours = tasks.iter().filter(|task| logs.is_of(&task.name));
                ours.any(|task| task.state == "finished")
            }
            _ => false,
        }
    }
}

async fn send_logs(
    until: Until,
    mut logs: TaskLogs,
    instance: InstanceId,
    sender: mpsc::Sender<Result<LogsResponse, Status>>,
) {
    let mut silent = 0;
    loop {
        // Asked before reading, so that the last words of a stopped one are read.
        let over = until.is_over().await;
        let news = match logs.next().await {
            Ok(news) => news,
            Err(why) => {
                let _ = sender.send(Err(WorkspaceError::from(why).into())).await;
                return;
            }
        };
        silent = if news.is_empty() { silent + 1 } else { 0 };
        if news.is_empty() {
            let ended = silent % SILENCE == 0 && until.has_ended(&logs).await;
            if over || ended || sender.is_closed() {
                return;
            }
            TaskLogs::pause().await;
        }
        for mut chunk in news {
            chunk.instance_id = instance.to_string();
            if sender.send(Ok(chunk)).await.is_err() {
                return;
            }
        }
    }
}

/// After so many looks in vain, about a second, it is asked whether there will be more.
const SILENCE: u32 = 5;
