//! Rows of instances that nobody runs.

use gitpod_bridge::{InstanceStore, StopOrigin, stop_instance};
use gitpod_lifecycle::ManageError;
use gitpod_routing::InstanceId;

use super::{WorkspaceError, Workspaces};

impl Workspaces {
    /// Marks runs as stopped that the manager does not know: an earlier process
    /// ended after their end, or before their beginning, was written down.
    pub(crate) async fn settle_orphans(&self) -> Result<(), WorkspaceError> {
        for row in self.shared.store.live_instances().await? {
            match self.shared.manager.describe(&row.id).await {
                Ok(_) => {}
                Err(ManageError::NotFound(_)) => {
                    let why = "it ended with an earlier `gitpod up`";
                    self.mark_stopped(&row.id, why).await?;
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
        stop_instance(&self.shared.store, instance, StopOrigin::Inferred, why).await?;
        Ok(())
    }
}
