//! Who has a stopped workspace started by coming to it, and starting it for them.

use clap::ValueEnum;
use gitpod_bridge::Workspace;
use gitpod_routing::{InstanceId, WakePolicy, WorkspaceId};

use super::former::StartedBy;
use super::{WorkspaceError, Workspaces};
use crate::cli::Wake;

impl Workspaces {
    /// From now on a workspace is started as `wake` says.
    pub(crate) async fn set_wake(
        &self,
        id: &WorkspaceId,
        wake: Wake,
    ) -> Result<(), WorkspaceError> {
        let _turn = self.shared.turns.wait(id).await;
        let record = self.record(id).await?;
        self.keep_policy(&record.workspace, wake).await?;
        self.send_workspace(id).await;
        Ok(())
    }

    /// Writes `wake` down with `workspace`, whose turn it is, and tells routing.
    pub(super) async fn keep_policy(
        &self,
        workspace: &Workspace,
        wake: Wake,
    ) -> Result<(), WorkspaceError> {
        self.redefine(workspace, |definition| definition.wake = wake)
            .await?;
        self.shared.routes.set_policy(&workspace.id, wake.into());
        Ok(())
    }

    /// Starts a workspace again whose run `ended` is over, unless somebody else has.
    pub(crate) async fn start_after(
        &self,
        id: &WorkspaceId,
        ended: &InstanceId,
    ) -> Result<(), WorkspaceError> {
        let _turn = self.shared.turns.wait(id).await;
        let record = self.record(id).await?;
        let live = record.latest.as_ref().filter(|row| !row.is_stopped());
        match live {
            Some(row) if row.id != *ended => return Ok(()),
            // Routing hears of the end before it is written down.
            Some(_) => self.stopped(ended).await?,
            None => {}
        }
        let definition = self.keep_former(&record, StartedBy::Visitor).await?;
        self.run(id, &definition).await.map(drop)
    }
}

impl From<Wake> for WakePolicy {
    fn from(wake: Wake) -> Self {
        match wake {
            Wake::Owner => Self::Owner,
            Wake::Anyone => Self::Anyone,
            Wake::Never => Self::Never,
        }
    }
}

/// What `text` names; nothing if it is empty.
pub(super) fn policy(text: &str) -> Result<Option<Wake>, WorkspaceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let named = Wake::from_str(text, false).map_err(|_| {
        WorkspaceError::Invalid(format!("{text:?} is neither `owner`, `anyone` nor `never`"))
    });
    named.map(Some)
}
