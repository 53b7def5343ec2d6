//! The end of everything: nothing may go on running when `up` is gone.

use std::time::Duration;

use gitpod_bridge::InstanceStore;
use gitpod_lifecycle::{Cluster, Description, ManageError, StopPolicy, runner_name};
use gitpod_routing::InstanceId;
use tokio::task::JoinSet;

use super::{Opening, WorkspaceError, Workspaces};

/// How long instances may take to stop in order. Their grace is a second.
const IN_ORDER: Duration = Duration::from_secs(15);
/// How long their processes may take to vanish once they are ended by force.
const BY_FORCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Workspaces {
    /// Stops all instances at once, whoever started them. Those that cannot be
    /// stopped in order, because the disk is full for instance, are ended by force.
    pub(crate) async fn stop_all(&self) -> Result<(), WorkspaceError> {
        // Whoever starts something has either done so before the list, or will not.
        *self.shared.opening.write().await = Opening::Closed;
        let mut stopping = JoinSet::new();
        for live in self.shared.manager.list().await? {
            let this = self.clone();
            stopping.spawn(async move { this.end(&live).await });
        }
        let mut outcome = Ok(());
        while let Some(ended) = stopping.join_next().await {
            if let Ok(Err(why)) = ended {
                outcome = Err(why);
            }
        }
        outcome
    }

    async fn end(&self, live: &Description) -> Result<(), WorkspaceError> {
        let instance = &live.record.spec.instance;
        let in_order = tokio::time::timeout(IN_ORDER, self.end_in_order(instance)).await;
        match in_order {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => tracing::warn!(%instance, %why, "cannot be stopped in order"),
            Err(_) => tracing::warn!(%instance, "does not stop in time"),
        }
        self.end_by_force(live).await
    }

    async fn end_in_order(&self, instance: &InstanceId) -> Result<(), ManageError> {
        let manager = &self.shared.manager;
        match manager.stop(instance, StopPolicy::Immediately).await {
            Ok(()) | Err(ManageError::NotFound(_)) => manager.gone(instance).await,
            Err(why) => Err(why),
        }
    }

    async fn end_by_force(&self, live: &Description) -> Result<(), WorkspaceError> {
        let spec = &live.record.spec;
        let cluster = &self.shared.cluster;
        let name = runner_name(spec);
        let deleted = cluster
            .delete(&spec.instance, &name, Some(Duration::ZERO))
            .await;
        deleted.map_err(ManageError::from)?;
        let ended = async {
            while cluster
                .supervisor(&spec.instance)
                .is_some_and(|it| it.is_alive())
            {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let ended = tokio::time::timeout(BY_FORCE, ended).await;
        ended.map_err(|_| WorkspaceError::DoesNotStop(spec.workspace.to_string()))
    }

    /// Whether run `ended` is over because somebody asked for that, as far as can be told.
    pub(crate) async fn was_asked_to_stop(&self, ended: &InstanceId) -> bool {
        // Routing hears of the end before it is written down.
        if self.stopped(ended).await.is_err() {
            return false;
        }
        let row = self.shared.store.instance(ended).await;
        let conditions = row.ok().flatten().map(|row| row.state.conditions);
        conditions.is_some_and(|conditions| conditions.stopped_by_request == Some(true))
    }
}
