//! One change of a workspace at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use gitpod_routing::WorkspaceId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Lets starts, stops and removals of one workspace happen one after the other.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<WorkspaceId, Weak<AsyncMutex<()>>>>);

impl Turns {
    /// Waits until nobody else changes workspace `id`. Others wait until what this
    /// gives is dropped.
    pub(super) async fn wait(&self, id: &WorkspaceId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                turns.insert(id.clone(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
