//! One part of the table of workspaces.

use std::sync::Arc;

use crate::id::WorkspaceId;
use crate::info::WorkspaceInfo;

/// Workspaces by id: open addressing with linear probing.
///
/// A place holds the hash and the way to the workspace, and which place is the first to look
/// at follows from the hash alone. So a look reads two places of memory, one after the other:
/// this one and the workspace. General tables read a third before, where they keep a byte for
/// each place; with a million workspaces that is a sixth of the time
/// (`benches/RESULTS.md`).
#[derive(Default)]
pub(super) struct Table {
    places: Box<[Option<Known>]>,
    used: usize,
}

/// The hash spares going to a workspace that only has its place nearby.
struct Known {
    hash: u64,
    info: Arc<WorkspaceInfo>,
}

impl Known {
    fn is(&self, hash: u64, id: &WorkspaceId) -> bool {
        self.hash == hash && self.info.id == *id
    }
}

impl Table {
    pub(super) fn find(&self, hash: u64, id: &WorkspaceId) -> Option<&Arc<WorkspaceInfo>> {
        let at = self.place_of(hash, id)?;
        self.known(at).map(|known| &known.info)
    }

    /// Adds `info`, and gives what was there of the same workspace.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        info: Arc<WorkspaceInfo>,
    ) -> Option<Arc<WorkspaceInfo>> {
        if let Some(at) = self.place_of(hash, &info.id) {
            let known = self.places.get_mut(at)?.as_mut()?;
            return Some(std::mem::replace(&mut known.info, info));
        }
        if (self.used + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.add(Known { hash, info });
        None
    }

    /// Takes a workspace out, and moves those up that would be missed behind the gap.
    pub(super) fn remove(&mut self, hash: u64, id: &WorkspaceId) -> Option<Arc<WorkspaceInfo>> {
        let mut gap = self.place_of(hash, id)?;
        let removed = self.places.get_mut(gap)?.take()?;
        self.used -= 1;
        let mut at = self.after(gap);
        while let Some(known) = self.known(at) {
            let from_home = self.steps(self.home(known.hash), at);
            if from_home >= self.steps(gap, at) {
                self.places.swap(gap, at);
                gap = at;
            }
            at = self.after(at);
        }
        Some(removed.info)
    }

    fn place_of(&self, hash: u64, id: &WorkspaceId) -> Option<usize> {
        let mut at = self.home(hash);
        // There always is a free place, which ends this.
        while let Some(known) = self.known(at) {
            if known.is(hash, id) {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    fn add(&mut self, known: Known) {
        let mut at = self.home(known.hash);
        while self.known(at).is_some() {
            at = self.after(at);
        }
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(known);
            self.used += 1;
        }
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(LEAST);
        let places = (0..size).map(|_| None).collect();
        let before = std::mem::replace(&mut self.places, places);
        self.used = 0;
        for known in before.into_iter().flatten() {
            self.add(known);
        }
    }

    fn known(&self, at: usize) -> Option<&Known> {
        self.places.get(at)?.as_ref()
    }

    fn home(&self, hash: u64) -> usize {
        // Sizes are powers of two, so only the lowest bits count.
        self.within(usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default())
    }

    fn after(&self, at: usize) -> usize {
        self.within(at + 1)
    }

    /// How many places one goes from `from` to `to`, around the end.
    fn steps(&self, from: usize, to: usize) -> usize {
        self.within(to.wrapping_sub(from))
    }

    fn within(&self, at: usize) -> usize {
        at & self.places.len().saturating_sub(1)
    }
}

/// The first size: a power of two, as all are.
const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use crate::secret::OwnerToken;

    use super::*;

    fn info(number: u8, run: u16) -> Arc<WorkspaceInfo> {
        let id = format!("pink-panda-{number:08}").parse().unwrap();
        let instance = format!("run-{run}").parse().unwrap();
        Arc::new(WorkspaceInfo::new(id, instance, OwnerToken::new("s3cret")))
    }

    #[test]
    fn a_place_is_two_words_so_that_four_fit_a_cache_line() {
        assert_eq!(size_of::<Option<Known>>(), 16);
    }

    #[test]
    fn an_empty_table_finds_nothing_and_removes_nothing() {
        let mut table = Table::default();
        let id = &info(1, 1).id;
        assert!(table.find(7, id).is_none());
        assert!(table.remove(7, id).is_none());
    }

    proptest! {
        /// Hashes are few and near each other, at both ends of the table, so that runs of
        /// places grow together and around the end.
        #[test]
        fn it_holds_what_an_ordinary_map_holds(
            changes in prop::collection::vec((any::<bool>(), 0_u8..40, any::<u16>()), 0..300)
        ) {
            let hash = |number: u8| u64::from(number % 13).wrapping_sub(6);
            let (mut table, mut map) = (Table::default(), HashMap::new());
            for (add, number, run) in changes {
                let new = info(number, run);
                let (was, expected) = match add {
                    true => (table.insert(hash(number), Arc::clone(&new)), map.insert(number, new)),
                    false => (table.remove(hash(number), &new.id), map.remove(&number)),
                };
                let instance = |info: Option<Arc<WorkspaceInfo>>| info.map(|info| info.instance.clone());
                prop_assert_eq!(instance(was), instance(expected));
            }
            prop_assert_eq!(table.used, map.len());
            for number in 0..40 {
                let found = table.find(hash(number), &info(number, 0).id);
                prop_assert_eq!(found.map(|info| &info.instance), map.get(&number).map(|info| &info.instance));
            }
        }
    }
}
