//! Who starts workspaces for those whom the old one still holds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitpod_lifecycle::ConditionType;
use gitpod_routing::{StartError, Starter, WorkspaceInfo};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::client::is_lost;
use crate::local::start_request::What;
use crate::local::workspaces_client::WorkspacesClient;
use crate::local::{DescribeRequest, StartRequest};

/// Has workspaces started by this process; by somebody else, once there is somebody else.
///
/// A request that is held has lost nothing by a hand-over: what it waits for is told by the successor, and only who
/// starts it has to be another one.
#[derive(Debug)]
pub(in crate::up) struct SwitchedStarter {
    before: Arc<dyn Starter>,
    who: watch::Sender<Who>,
}

#[derive(Clone, Debug)]
enum Who {
    This,
    /// It lets go, and what it begins may be of no effect.
    NotCertain,
    Other(WorkspacesClient<Channel>),
}

/// For somebody who has just ended, and whose place is taken.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl SwitchedStarter {
    pub(in crate::up) fn new(before: Arc<dyn Starter>) -> Self {
        let who = watch::Sender::new(Who::This);
        Self { before, who }
    }

    /// Begins nothing any more.
    pub(in crate::up) fn hold(&self) {
        self.who.send_replace(Who::NotCertain);
    }

    /// What is begun from now on, and what has failed since it was held, is whoever's that answers `channel`.
    pub(super) fn turn_to(&self, channel: Channel) {
        let other = WorkspacesClient::new(channel);
        self.who.send_replace(Who::Other(other));
    }

    fn is_this(&self) -> bool {
        matches!(*self.who.borrow(), Who::This)
    }

    async fn start_elsewhere(&self, info: &WorkspaceInfo) -> Result<(), StartError> {
        let mut who = self.who.subscribe();
        let other = who.wait_for(|who| matches!(who, Who::Other(_))).await;
        let Ok(Who::Other(mut other)) = other.map(|who| who.clone()) else {
            return Err(StartError::new("nobody starts anything"));
        };
        loop {
            let request = StartRequest {
                what: Some(What::WorkspaceId(info.id.to_string())),
                no_wait: true,
                after_instance_id: info.instance.to_string(),
                ..StartRequest::default()
            };
            match other.start(request).await {
                Err(why) if is_lost(&why) => sleep(LOOK_AGAIN).await,
                started => {
                    return started
                        .map(drop)
                        .map_err(|why: Status| StartError::new(why));
                }
            }
        }
    }
}

#[async_trait]
impl Starter for SwitchedStarter {
    async fn start(&self, info: &WorkspaceInfo) -> Result<(), StartError> {
        if self.is_this() {
            let started = self.before.start(info).await;
            if started.is_ok() || self.is_this() {
                return started;
            }
        }
        self.start_elsewhere(info).await
    }

    async fn was_asked_to_stop(&self, ended: &WorkspaceInfo) -> bool {
        if self.is_this() {
            return self.before.was_asked_to_stop(ended).await;
        }
        let who = self.who.borrow().clone();
        let Who::Other(mut other) = who else {
            return false;
        };
        let request = DescribeRequest {
            workspace_id: ended.id.to_string(),
        };
        let told = other.describe(request).await.map(Response::into_inner);
        told.is_ok_and(|told| {
            let latest = told.workspace.map(|latest| latest.instance_id);
            let mut conditions = told.conditions.iter();
            latest.as_deref() == Some(ended.instance.as_str())
                && conditions.any(|it| it.r#type == ConditionType::StoppedByRequest.as_str())
        })
    }
}
