//! The outbox of a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::store::MemoryStore;
use crate::clock::{between, later};
use crate::publish::Message;
use crate::store::{Outbox, OutboxEntry, StoreError};

/// Entries by number.
#[derive(Debug, Default)]
pub(super) struct Entries {
    last: i64,
    waiting: BTreeMap<i64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    attempts: u32,
    available: Timestamp,
}

impl Entries {
    pub(super) fn append(&mut self, message: Message, now: Timestamp) {
        self.last += 1;
        let entry = Waiting {
            message,
            attempts: 0,
            available: now,
        };
        self.waiting.insert(self.last, entry);
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn take(&self, limit: u32, hold: Duration) -> Result<Vec<OutboxEntry>, StoreError> {
        let now = self.clock.now();
        let until = later(now, hold);
        let mut tables = self.tables();
        let due = tables.outbox.waiting.iter_mut();
        let due = due.filter(|(_, entry)| entry.available <= now);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let taken = due.take(limit).map(|(id, entry)| {
            let given = OutboxEntry::new(*id, entry.attempts, entry.message.clone());
            entry.available = until;
            entry.attempts = entry.attempts.saturating_add(1);
            given
        });
        Ok(taken.collect())
    }

    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.outbox.waiting.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn give_back(&self, ids: &[i64], wait: Duration) -> Result<(), StoreError> {
        let due = later(self.clock.now(), wait);
        let mut tables = self.tables();
        for id in ids {
            if let Some(entry) = tables.outbox.waiting.get_mut(id) {
                entry.available = due;
            }
        }
        Ok(())
    }

    async fn due_in(&self) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.now();
        let tables = self.tables();
        let first = tables.outbox.waiting.values().map(|entry| entry.available);
        Ok(first.min().map(|first| between(now, first)))
    }

    fn appended(&self) -> Arc<Notify> {
        Arc::clone(&self.appended)
    }
}
