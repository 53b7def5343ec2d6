//! Workspaces held in memory.

mod table;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use foldhash::fast::RandomState;

use crate::change::{ChangeSignal, Changes};
use crate::id::WorkspaceId;
use crate::info::{Lookup, ProviderError, WorkspaceInfo, WorkspaceInfoProvider};

use self::table::Table;

/// A [`WorkspaceInfoProvider`] over a table that you fill.
///
/// Cloning copies a pointer; all clones share one table. It is in many parts, each with a
/// lock of its own that is held for one look or one change, and never while waiting. Where
/// a workspace stands in it depends on a seed of the process, so that nobody can choose
/// names that all land in one place.
#[derive(Clone)]
pub struct MemoryProvider(Arc<Parts>);

struct Parts {
    seed: RandomState,
    parts: Box<[Part]>,
    changed: ChangeSignal,
}

#[derive(Default)]
#[repr(align(64))] // so that locks of two parts are never in one cache line
struct Part(RwLock<Table>);

impl MemoryProvider {
    /// With no workspaces.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Parts {
            seed: RandomState::default(),
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            changed: ChangeSignal::new(),
        }))
    }

    /// Adds `info`, in the place of what was known of that workspace.
    pub fn insert(&self, info: WorkspaceInfo) {
        let hash = self.0.hash(&info.id);
        let info = Arc::new(info);
        let replaced = self.0.change(hash, |part| part.insert(hash, info));
        drop(replaced); // outside of the lock
        self.0.changed.send();
    }

    /// Forgets workspace `id`.
    pub fn remove(&self, id: &WorkspaceId) {
        let hash = self.0.hash(id);
        let removed = self.0.change(hash, |part| part.remove(hash, id));
        drop(removed);
        self.0.changed.send();
    }

    /// What is known of workspace `id`.
    #[must_use]
    pub fn get(&self, id: &WorkspaceId) -> Option<Arc<WorkspaceInfo>> {
        let hash = self.0.hash(id);
        // Nothing in the table is half done when a thread panics.
        let part = self.0.part(hash)?.0.read();
        let part = part.unwrap_or_else(PoisonError::into_inner);
        part.find(hash, id).map(Arc::clone)
    }
}

impl Parts {
    fn hash(&self, id: &WorkspaceId) -> u64 {
        self.seed.hash_one(id.as_str())
    }

    fn part(&self, hash: u64) -> Option<&Part> {
        // The tables themselves go by the lowest bits.
        let number = usize::try_from(hash >> 32).unwrap_or_default() % PARTS;
        self.parts.get(number)
    }

    fn change<T>(&self, hash: u64, change: impl FnOnce(&mut Table) -> Option<T>) -> Option<T> {
        let part = self.part(hash)?.0.write();
        change(&mut part.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for MemoryProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProvider").finish_non_exhaustive()
    }
}

#[async_trait]
impl WorkspaceInfoProvider for MemoryProvider {
    async fn workspace_info(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceInfo>>, ProviderError> {
        Ok(self.get(id))
    }

    fn cached(&self, id: &WorkspaceId) -> Option<Lookup> {
        Some(Ok(self.get(id)))
    }

    fn changes(&self) -> Option<Changes> {
        Some(self.0.changed.subscribe())
    }
}

/// Chosen by us: few enough to be cheap while empty, and so many that two threads seldom meet.
const PARTS: usize = 256;

#[cfg(test)]
mod tests {
    use crate::info::{Admission, WorkspaceInfo};
    use crate::secret::OwnerToken;

    use super::*;

    #[test]
    fn what_is_known_is_what_was_said_last() {
        let id: WorkspaceId = "pink-panda-ns35kd21".parse().unwrap();
        let run = |name: &str| {
            let instance = name.parse().unwrap();
            WorkspaceInfo::new(id.clone(), instance, OwnerToken::new("s3cret"))
        };
        let provider = MemoryProvider::new();
        provider.insert(run("first"));
        provider.insert(run("second").with_admission(Admission::Everyone));

        let found = provider.get(&id).unwrap();
        assert_eq!(found.instance.as_str(), "second");
        assert_eq!(found.admission, Admission::Everyone);
        provider.remove(&id);
        assert!(provider.get(&id).is_none());
    }
}
