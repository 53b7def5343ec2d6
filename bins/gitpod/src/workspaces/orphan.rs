//! Rows of instances that nobody runs.

use gitpod_bridge::{
    InstancePhase, InstanceStore, StopOrigin, WorkspaceRecord, WorkspaceStore, stop_instance,
};
use gitpod_lifecycle::{ManageError, WorkspaceName};
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

    /// Removes workspaces that are no more than rows: the `up` that made them was killed before
    /// anything of them was on the disk, and nobody was told that they exist.
    pub(crate) async fn forget_unmade(&self) -> Result<(), WorkspaceError> {
        for record in self.shared.store.workspaces().await? {
            let id = &record.workspace.id;
            if self.is_unmade(&record).await? {
                self.shared.store.delete_workspace(id).await?;
                tracing::info!(workspace = %id, "was not made to its end, and is forgotten");
            }
        }
        Ok(())
    }

    async fn is_unmade(&self, record: &WorkspaceRecord) -> Result<bool, WorkspaceError> {
        let dir = self
            .layout()
            .workspace(&WorkspaceName::from(&record.workspace.id))?;
        if dir.exists() {
            return Ok(false);
        }
        let Some(row) = &record.latest else {
            return Ok(true);
        };
        if row.state.phase != InstancePhase::Pending || row.state.status_version != 0 {
            return Ok(false);
        }
        match self.shared.manager.describe(&row.id).await {
            Ok(_) => Ok(false),
            Err(ManageError::NotFound(_)) => Ok(true),
            Err(why) => Err(why.into()),
        }
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
