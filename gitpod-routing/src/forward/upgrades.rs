//! How many tunnels lead to one workspace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::id::WorkspaceId;

/// Counts tunnels by workspace, so that none takes all descriptors of the proxy.
#[derive(Clone)]
pub(crate) struct Upgrades(Arc<Shared>);

struct Shared {
    most: usize,
    open: Mutex<HashMap<WorkspaceId, usize, RandomState>>,
}

impl Upgrades {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            open: Mutex::default(),
        }))
    }

    /// A place for a tunnel to `workspace`; `None` if there are as many as may be.
    pub(crate) fn admit(&self, workspace: &WorkspaceId) -> Option<Upgraded> {
        let mut open = self.0.lock();
        let count = open.entry(workspace.clone()).or_default();
        if *count >= self.0.most {
            return None;
        }
        *count += 1;
        drop(open);
        metrics::gauge!("gitpod_ws_proxy_upgrades").increment(1.0);
        Some(Upgraded(Arc::clone(&self.0), workspace.clone()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, usize, RandomState>> {
        // Nothing in the table is half done when a thread panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tunnel, or a request that may become one.
pub(crate) struct Upgraded(Arc<Shared>, WorkspaceId);

impl Drop for Upgraded {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        if let Some(count) = open.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.1);
            }
        }
        drop(open);
        metrics::gauge!("gitpod_ws_proxy_upgrades").decrement(1.0);
    }
}
