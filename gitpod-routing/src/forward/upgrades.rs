//! How many tunnels lead to one workspace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::access::Access;
use crate::id::WorkspaceId;

/// Counts tunnels by workspace, so that none takes all descriptors of the proxy; and those of guests, so that they
/// leave some to its owner.
#[derive(Clone)]
pub(crate) struct Upgrades(Arc<Shared>);

struct Shared {
    most: usize,
    most_of_guests: usize,
    open: Mutex<HashMap<WorkspaceId, Open, RandomState>>,
}

/// What leads to one workspace.
#[derive(Clone, Copy, Default)]
struct Open {
    all: usize,
    of_guests: usize,
}

/// Whose tunnel it is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Whose {
    Owner,
    Guest,
}

impl Upgrades {
    /// With at most `most` to one workspace, and three quarters of that for its guests.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            most_of_guests: most - most / 4,
            open: Mutex::default(),
        }))
    }

    /// A place for a tunnel to `workspace`, for whoever has `access`; `None` if there are as many as may be.
    pub(crate) fn admit(&self, workspace: &WorkspaceId, access: Access) -> Option<Upgraded> {
        let whose = match access {
            Access::Owner => Whose::Owner,
            Access::Anonymous | Access::Shared(_) => Whose::Guest,
        };
        if !self.0.add(workspace, whose) {
            return None;
        }
        metrics::gauge!("gitpod_ws_proxy_upgrades").increment(1.0);
        Some(Upgraded(Arc::clone(&self.0), workspace.clone(), whose))
    }
}

impl Shared {
    fn add(&self, workspace: &WorkspaceId, whose: Whose) -> bool {
        let mut all = self.lock();
        let mut open = all.get(workspace).copied().unwrap_or_default();
        if open.all >= self.most {
            return false;
        }
        open.all += 1;
        if whose == Whose::Guest {
            if open.of_guests >= self.most_of_guests {
                return false;
            }
            open.of_guests += 1;
        }
        all.insert(workspace.clone(), open);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Open, RandomState>> {
        // Nothing in the table is half done when a thread panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tunnel, or a request that may become one.
pub(crate) struct Upgraded(Arc<Shared>, WorkspaceId, Whose);

impl Drop for Upgraded {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        if let Some(count) = open.get_mut(&self.1) {
            count.all = count.all.saturating_sub(1);
            if self.2 == Whose::Guest {
                count.of_guests = count.of_guests.saturating_sub(1);
            }
            if count.all == 0 {
                open.remove(&self.1);
            }
        }
        drop(open);
        metrics::gauge!("gitpod_ws_proxy_upgrades").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_34_guests_leave_a_quarter_to_the_owner() {
        let upgrades = Upgrades::new(4);
        let id: WorkspaceId = "amber-fox-0abc1234".parse().unwrap();
        let open = |access| upgrades.admit(&id, access);
        let mut guests: Vec<Upgraded> = (0..3).map(|_| open(Access::Anonymous).unwrap()).collect();
        assert!(open(Access::Anonymous).is_none());
        let owner = open(Access::Owner).unwrap();
        assert!(open(Access::Owner).is_none(), "that is all");
        guests.pop();
        let second = open(Access::Owner).unwrap(); // of what guests do not need
        assert!(open(Access::Anonymous).is_none());
        drop((guests, owner, second));
        assert!(upgrades.0.lock().is_empty());
    }
}
