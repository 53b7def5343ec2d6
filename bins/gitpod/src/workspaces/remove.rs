//! Stopping workspaces and removing them.

use std::time::Duration;

use futures_util::future::join_all;
use gitpod_bridge::{InstanceStore, WorkspaceStore};
use gitpod_lifecycle::{ManageError, StopPolicy, WorkspaceName};
use gitpod_routing::{InstanceId, WorkspaceId};

use super::removal::Removal;
use super::{WorkspaceError, Workspaces};

/// How long a stop may take beyond the grace period before its asker is told.
const STOP_BUDGET: Duration = Duration::from_secs(120);

/// How long an `up` that starts waits for removals it finds begun. Processes have a second to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a row may take to be written before it is seen to that there is room for it.
const ROOM_FOR_ROWS: Duration = Duration::from_secs(1);

impl Workspaces {
    /// Stops a workspace, if it runs, and waits until nothing of it does.
    pub(crate) async fn stop(
        &self,
        id: &WorkspaceId,
        policy: StopPolicy,
    ) -> Result<(), WorkspaceError> {
        // Before this one's turn: it may hurry a stop that is under way.
        self.ask_to_stop(id, policy).await?;
        let _turn = self.shared.turns.wait(id).await;
        self.stop_in_turn(id, policy).await
    }

    /// Stops a workspace and removes its files, logs and rows. That it is to be done is on the
    /// disk before anything ends: if this process is killed, the next one does it.
    pub(crate) async fn delete(&self, id: &WorkspaceId) -> Result<(), WorkspaceError> {
        self.record(id).await?;
        let removal = Removal::of(id, self.layout());
        removal.begin()?;
        // Before this one's turn: it may hurry a stop that is under way. If that fails, it is said below.
        let _hurried = self.ask_to_stop(id, StopPolicy::Immediately).await;
        let _turn = self.shared.turns.wait(id).await;
        self.stop_and_remove(&removal).await
    }

    /// Does the rest of the removals that an `up` had begun which was killed, but for those of
    /// runs that are not over. Nobody else may change anything yet.
    pub(crate) async fn finish_removals(&self) -> std::io::Result<()> {
        for removal in Removal::all(self.layout())? {
            if self.runs(removal.workspace()).await {
                continue;
            }
            if let Err(why) = self.finish_removal(&removal).await {
                tell_not_removed(&removal, &why);
            }
        }
        Ok(())
    }

    /// Does the rest of those whose runs are not over, too. Whoever comes waits for that; if it
    /// takes long, only who comes to those.
    pub(crate) async fn finish_deletions(&self) -> std::io::Result<()> {
        let mut under_way = Vec::new();
        for removal in Removal::all(self.layout())? {
            let turn = self.shared.turns.wait(removal.workspace()).await;
            let this = self.clone();
            under_way.push(tokio::spawn(async move {
                let _turn = turn;
                if let Err(why) = this.stop_and_remove(&removal).await {
                    tell_not_removed(&removal, &why);
                }
            }));
        }
        let _late = tokio::time::timeout(PATIENCE, join_all(under_way)).await;
        Ok(())
    }

    async fn runs(&self, id: &WorkspaceId) -> bool {
        let latest = self.record(id).await.ok().and_then(|it| it.latest);
        let Some(row) = latest else {
            return false;
        };
        // Its end may be in the row, and its record not yet gone.
        !row.is_stopped() || self.shared.manager.describe(&row.id).await.is_ok()
    }

    /// In the workspace's turn.
    async fn stop_and_remove(&self, removal: &Removal) -> Result<(), WorkspaceError> {
        let policy = StopPolicy::Immediately;
        // Somebody else's removal of the same, which is over, has ended this one's note.
        removal.begin()?;
        match self.stop_in_turn(removal.workspace(), policy).await {
            Ok(()) => {}
            // Whoever looks after it now finds the note.
            Err(WorkspaceError::Manage(why @ ManageError::Closed)) => return Err(why.into()),
            Err(why) => {
                removal.end()?;
                return Err(why);
            }
        }
        self.finish_removal(removal).await
    }

    /// Removes all of it, or fails; in neither case it is tried again later, when its user
    /// may have begun to use it again.
    async fn finish_removal(&self, removal: &Removal) -> Result<(), WorkspaceError> {
        let removed = self.remove(removal.workspace()).await;
        removal.end()?;
        removed
    }

    /// Everything in it may be repeated.
    async fn remove(&self, id: &WorkspaceId) -> Result<(), WorkspaceError> {
        let name = WorkspaceName::from(id);
        self.shared.manager.delete_content(&name).await?;
        remove_dir(&self.layout().workspace(&name)?).await?;
        self.shared.links.revoke_all(id).await?;
        self.remove_unknown_run(id).await?;
        // Whoever follows it hears of the end, which its row will tell nobody any more.
        self.send_workspace(id).await;
        self.shared.store.delete_workspace(id).await?;
        self.shared.roster.send_replace(());
        self.shared.routes.forget(id);
        Ok(())
    }

    /// Of a run whose record is broken nobody else removes what is left.
    async fn remove_unknown_run(&self, id: &WorkspaceId) -> Result<(), WorkspaceError> {
        let record = self.record(id).await.ok();
        let Some(run) = record.and_then(|record| record.latest) else {
            return Ok(());
        };
        match self.shared.manager.describe(&run.id).await {
            Err(ManageError::NotFound(_)) => {
                Ok(remove_dir(&self.layout().instance(&run.id)).await?)
            }
            _ => Ok(()),
        }
    }

    async fn stop_in_turn(
        &self,
        id: &WorkspaceId,
        policy: StopPolicy,
    ) -> Result<(), WorkspaceError> {
        self.ask_to_stop(id, policy).await?;
        let Some(row) = self.record(id).await?.latest else {
            return Ok(());
        };
        // Also if it has just ended by itself: something of it may be there still.
        tokio::time::timeout(STOP_BUDGET, self.stopped(&row.id))
            .await
            .map_err(|_| WorkspaceError::DoesNotStop(id.to_string()))?
    }

    /// Asks the run of a workspace to stop, if it runs.
    async fn ask_to_stop(
        &self,
        id: &WorkspaceId,
        policy: StopPolicy,
    ) -> Result<(), WorkspaceError> {
        let record = self.record(id).await?;
        let Some(row) = record.latest.filter(|row| !row.is_stopped()) else {
            return Ok(());
        };
        match self.shared.manager.stop(&row.id, policy).await {
            // It has just ended by itself, or is just being started.
            Ok(()) | Err(ManageError::NotFound(_)) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Waits until the row says so: then whoever asks next sees it, too.
    pub(super) async fn stopped(&self, instance: &InstanceId) -> Result<(), WorkspaceError> {
        let mut events = self.watch();
        self.shared.manager.gone(instance).await?;
        loop {
            match self.shared.store.instance(instance).await? {
                Some(row) if !row.is_stopped() => {}
                _ => return Ok(()),
            }
            // Missed events are no harm: the row is read again. It may find no room.
            let told = tokio::time::timeout(ROOM_FOR_ROWS, events.recv()).await;
            if told.is_err() {
                self.layout().reserve().make_room();
            }
        }
    }
}

fn tell_not_removed(removal: &Removal, why: &WorkspaceError) {
    let why = why as &dyn std::error::Error;
    tracing::warn!(workspace = %removal.workspace(), why, "not removed; delete it again");
}

async fn remove_dir(dir: &std::path::Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(dir).await {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
