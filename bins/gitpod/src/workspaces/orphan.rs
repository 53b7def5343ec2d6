//! Rows of instances that nobody runs.

use gitpod_bridge::{InstanceRow, InstanceStore, Outcome, Plan, StopOrigin, mark_stopped};
use gitpod_lifecycle::ManageError;
use gitpod_routing::InstanceId;
use jiff::Timestamp;

use super::{WorkspaceError, Workspaces};

impl Workspaces {
    /// Marks runs as stopped that the manager does not know: an earlier process
    /// ended after their end, or before their beginning, was written down.
    pub(crate) async fn settle_orphans(&self) -> Result<(), WorkspaceError> {
        for row in self.shared.store.live_instances().await? {
            match self.shared.manager.describe(&row.id).await {
                Ok(_) => {}
                Err(ManageError::NotFound(_)) => {
                    self.mark_stopped(&row.id, "it ended with an earlier `gitpod up`")
                        .await?;
                }
                Err(why) => return Err(why.into()),
            }
        }
        Ok(())
    }

    pub(super) async fn mark_stopped(
        &self,
        instance: &InstanceId,
        why: &str,
    ) -> Result<(), WorkspaceError> {
        let decide = |row: Option<&InstanceRow>, now: Timestamp| match row {
            Some(row) => mark_stopped(row, now, StopOrigin::Inferred, why),
            None => Plan::nothing(Outcome::UnknownInstance),
        };
        self.shared.store.transact(instance, &decide).await?;
        Ok(())
    }
}
