//! From requests to the manager's idea of who is active.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gitpod_lifecycle::{Activity, ManageError, Manager};
use gitpod_routing::{ActivitySink, InstanceId, WorkspaceInfo};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Reports each instance at most once in [`INTERVAL`], however many requests there are.
#[derive(Debug)]
pub(super) struct ReportedActivity {
    last: Mutex<HashMap<InstanceId, Instant>>,
    reports: mpsc::UnboundedSender<InstanceId>,
}

/// Statuses keep whole seconds, and a report costs a write.
const INTERVAL: Duration = Duration::from_secs(1);
/// Entries of instances that are long gone are dropped when there are so many.
const TIDY_AT: usize = 1024;

impl ReportedActivity {
    /// Reports to `manager`. Must be called within a runtime.
    pub(super) fn new(manager: Manager) -> Self {
        let (reports, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(instance) = waiting.recv().await {
                match manager.mark_active(&instance, Activity::Used).await {
                    // It has ended since.
                    Ok(()) | Err(ManageError::NotFound(_)) => {}
                    Err(why) => tracing::warn!(%instance, %why, "activity is not recorded"),
                }
            }
        });
        Self {
            last: Mutex::default(),
            reports,
        }
    }
}

impl ActivitySink for ReportedActivity {
    fn active(&self, info: &WorkspaceInfo) {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = last
            .get(&info.instance)
            .is_some_and(|reported| now.duration_since(*reported) < INTERVAL);
        if recent {
            return;
        }
        if last.len() >= TIDY_AT {
            last.retain(|_, reported| now.duration_since(*reported) < INTERVAL);
        }
        last.insert(info.instance.clone(), now);
        drop(last);
        // Fails only when this process ends.
        let _ = self.reports.send(info.instance.clone());
    }
}
