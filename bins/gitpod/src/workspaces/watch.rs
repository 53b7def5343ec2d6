//! Telling routing and watchers what happens.

use gitpod_bridge::{Heard, Subscription as Announcements, WorkspaceRecord};
use gitpod_lifecycle::{Activity, ContentProgress, StatusUpdate, Subscription, UpdatePhase};
use gitpod_routing::WorkspaceId;

use super::{Workspaces, definition};
use crate::local::{self, event::Kind};

/// Tells routing every status. Ends with the manager.
///
/// `updates` must have been subscribed to before this is called, so that nothing
/// falls between the list and the first update.
pub(crate) async fn follow_manager(
    workspaces: Workspaces,
    mut updates: Subscription<StatusUpdate>,
    mut progress: Subscription<ContentProgress>,
) {
    workspaces.tell_routes().await;
    loop {
        tokio::select! {
            update = updates.next() => match update {
                Some(Ok(update)) => {
                    workspaces.shared.routes.tell(&update);
                    workspaces.count_start_as_use(&update).await;
                }
                Some(Err(_lagged)) => workspaces.tell_routes().await,
                None => return,
            },
            step = progress.next() => match step {
                Some(Ok(step)) => workspaces.send(Kind::Progress(progress_of(&step))),
                Some(Err(_lagged)) => {} // the next step says how far it is
                None => return,
            },
        }
    }
}

/// Tells watchers every change of a row. Ends with the publisher.
pub(crate) async fn announce(workspaces: Workspaces, mut announcements: Announcements) {
    while let Some(heard) = announcements.next().await {
        match heard {
            Heard::Message(message) => {
                if let Some((_instance, workspace)) = message.instance() {
                    workspaces.send_workspace(&workspace).await;
                }
            }
            _ => {
                // Some were missed: tell all.
                for workspace in workspaces.list().await.unwrap_or_default() {
                    workspaces.send(Kind::Workspace(workspace));
                }
            }
        }
    }
}

impl Workspaces {
    /// Tells routing all that is known: rows of the past, instances of the present.
    pub(crate) async fn tell_routes(&self) {
        use gitpod_bridge::WorkspaceStore;
        match self.shared.store.workspaces().await {
            Ok(records) => {
                for record in &records {
                    self.tell_route_of(record).await;
                }
            }
            Err(why) => tracing::warn!(%why, "cannot list workspaces"),
        }
        match self.shared.manager.list().await {
            Ok(live) => {
                for description in &live {
                    self.shared.routes.tell(&description.update);
                }
            }
            Err(why) => tracing::warn!(%why, "cannot list instances"),
        }
    }

    async fn tell_route_of(&self, record: &WorkspaceRecord) {
        let routes = &self.shared.routes;
        let definition = definition::of(&record.workspace);
        let owners = self.former_owners(&definition).await.unwrap_or_else(|why| {
            tracing::warn!(%why, "owners of former runs are not known");
            Vec::new()
        });
        routes.learn(&record.workspace.id, definition.wake.into(), owners);
        let ended = record.latest.as_ref().filter(|row| row.is_stopped());
        if let Some(row) = ended {
            let ran = self.last_that_ran(row).await;
            routes.tell_stopped(row, ran.as_ref());
        }
    }

    /// Whoever starts a workspace uses it: its time without use begins when it runs,
    /// not when somebody first opens it.
    async fn count_start_as_use(&self, update: &StatusUpdate) {
        let fresh =
            update.phase == UpdatePhase::Running && update.conditions.first_user_activity.is_none();
        if !fresh {
            return;
        }
        let Ok(instance) = update.id.parse() else {
            return;
        };
        let manager = &self.shared.manager;
        if let Err(why) = manager.mark_active(&instance, Activity::FirstUse).await {
            tracing::warn!(%instance, %why, "start is not recorded as use");
        }
    }

    pub(super) async fn send_workspace(&self, id: &WorkspaceId) {
        match self.get(id).await {
            Ok(workspace) => self.send(Kind::Workspace(workspace)),
            // Deleted meanwhile.
            Err(why) => tracing::debug!(%why, "nothing to announce"),
        }
    }

    fn send(&self, kind: Kind) {
        // Fails if nobody watches.
        let _ = self.shared.events.send(local::Event { kind: Some(kind) });
    }
}

fn progress_of(progress: &ContentProgress) -> local::Progress {
    local::Progress {
        workspace_id: progress.workspace.to_string(),
        instance_id: progress.instance.to_string(),
        step: progress.step.step.clone(),
        percent: progress.step.percent.map(u32::from),
    }
}
