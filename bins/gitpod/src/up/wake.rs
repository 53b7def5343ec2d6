//! Has stopped workspaces started for who comes to them.

use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::{MemoryProvider, StartError, Starter, WakeLimits, Wakes, WorkspaceInfo};
use support::limits::show_other;

use super::config::Config;
use crate::workspaces::Workspaces;

/// Has workspaces started by `starter`, of which `routes` tells how they are, within the limits of `config`.
pub(super) fn wakes(config: &Config, starter: Arc<dyn Starter>, routes: MemoryProvider) -> Wakes {
    let limits = WakeLimits::new()
        .with_deadline(config.hold_for)
        .with_held_per_workspace(config.hold_requests)
        .with_held(config.hold_requests.saturating_mul(10));
    show(&limits);
    Wakes::new(starter, Arc::new(routes)).with_limits(limits)
}

/// Among the other limits.
fn show(limits: &WakeLimits) {
    show_other("hold-for", limits.deadline.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "no limit has so many digits")]
    show_other("hold-requests", limits.held_per_workspace as f64);
}

/// Starts workspaces as `gitpod start` does.
#[derive(Debug)]
pub(super) struct StartAgain(pub(super) Workspaces);

#[async_trait]
impl Starter for StartAgain {
    async fn start(&self, info: &WorkspaceInfo) -> Result<(), StartError> {
        let workspaces = self.0.clone();
        let (id, ended) = (info.id.clone(), info.instance.clone());
        // On its own: a start that was begun is not to be cut off when patience is over.
        let started = tokio::spawn(async move { workspaces.start_after(&id, &ended).await });
        match started.await {
            Ok(outcome) => outcome.map_err(StartError::new),
            Err(why) => Err(StartError::new(why)),
        }
    }

    async fn was_asked_to_stop(&self, ended: &WorkspaceInfo) -> bool {
        self.0.was_asked_to_stop(&ended.instance).await
    }
}
