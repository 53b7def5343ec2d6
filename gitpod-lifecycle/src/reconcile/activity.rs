//! Telling a manager in this process who is active.

use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::{ActivitySink, InstanceId, WorkspaceInfo};

use super::{Activity, ManageError, Manager};
use crate::reports::{Lost, Reports};

/// An [`ActivitySink`] that tells a [`Manager`] of the same process: of the first use of an
/// instance at once, and then once for each second in which it was used.
///
/// What cannot be recorded is told again for five minutes, unless the manager has let go of its
/// instances: then its successor has to be told.
#[derive(Debug)]
pub struct ManagerActivity(Arc<Reports>);

/// A report costs a look at the record, and a write of it every five seconds. Limits of two
/// seconds are kept with it.
const INTERVAL: Duration = Duration::from_secs(1);

impl ManagerActivity {
    /// Tells `manager`, as long as there is one. Must be called within a runtime.
    #[must_use]
    pub fn new(manager: Manager) -> Self {
        let reports = Arc::<Reports>::default();
        let delivered = Arc::clone(&reports);
        tokio::spawn(async move {
            let tell = |instance| mark_active(&manager, instance);
            delivered.deliver(INTERVAL, tell).await;
        });
        Self(reports)
    }
}

async fn mark_active(manager: &Manager, instance: InstanceId) -> Result<(), Lost<ManageError>> {
    match manager.mark_active(&instance, Activity::Used).await {
        // It has ended since, or is another manager's for good: there is nobody here to be told again.
        Ok(()) | Err(ManageError::NotFound(_) | ManageError::Closed) => Ok(()),
        Err(why) => Err(Lost::This(why)),
    }
}

impl ActivitySink for ManagerActivity {
    fn active(&self, info: &WorkspaceInfo) {
        self.0.note(&info.instance);
    }
}
