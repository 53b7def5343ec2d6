//! Where a network's state is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::BoxError;

/// Keeps the records of a network: values under keys, each with a revision.
///
/// A [`Registry`](crate::Registry) calls it a few times for each enrolment and each
/// renewal, and for nothing that carries traffic. [`MemoryStore`] keeps all in memory,
/// `FileStore` (feature `file`) in a file.
///
/// # Contract
///
/// - [`commit`](Self::commit) does all of its writes or none; what it committed is seen
///   by every later call. At most 100, as DynamoDB has it, each to a key of its own.
/// - The revision of a record is 1 when it is made, and grows with each change.
/// - [`StoreError::Conflict`]: a condition did not hold, and nothing was written. Read
///   again, and decide anew. Other errors: not written, or not known.
///
/// Dropping a future of `commit` leaves it done or not done.
///
/// # Source
///
/// Chosen by us: what DynamoDB's transactions, one SQL transaction and a file can do alike.
#[async_trait]
pub trait NetworkStore: fmt::Debug + Send + Sync + 'static {
    /// The record under `key`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that is not known.
    async fn get(&self, key: &str) -> Result<Option<Item>, StoreError>;

    /// All records whose keys begin with `prefix`, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if they are not known.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, StoreError>;

    /// Does all `writes`, or none.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; see the contract.
    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError>;
}

/// A record.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Item {
    /// What it says.
    pub value: Value,
    /// How often it was written.
    pub revision: u64,
}

impl Item {
    /// `value`, written `revision` times.
    #[must_use]
    pub fn new(value: Value, revision: u64) -> Self {
        Self { value, revision }
    }
}

/// One change, and what must hold for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Write {
    /// Which record.
    pub key: String,
    /// What must hold.
    pub condition: Condition,
    /// What it becomes; nothing, if it is to go.
    pub value: Option<Value>,
}

/// What must hold for a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// There is no such record.
    Absent,
    /// It has this revision.
    Revision(u64),
    /// Nothing.
    None,
}

impl Write {
    /// Makes record `key`, which must not be there.
    #[must_use]
    pub fn create(key: impl Into<String>, value: Value) -> Self {
        Self {
            key: key.into(),
            condition: Condition::Absent,
            value: Some(value),
        }
    }

    /// Changes record `key`, which must have `revision`.
    #[must_use]
    pub fn change(key: impl Into<String>, revision: u64, value: Value) -> Self {
        Self {
            key: key.into(),
            condition: Condition::Revision(revision),
            value: Some(value),
        }
    }

    /// Removes record `key`, if it is there.
    #[must_use]
    pub fn remove(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            condition: Condition::None,
            value: None,
        }
    }
}

/// Why a store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A condition did not hold.
    #[error("record {0} was changed meanwhile")]
    Conflict(String),
    /// The same key twice in one commit, or too many writes: a mistake of the caller.
    #[error("commit cannot be done: {0}")]
    Impossible(&'static str),
    /// It is out of reach, or full.
    #[error("state of the network cannot be read or written")]
    Unavailable(#[source] BoxError),
}

/// A [`NetworkStore`] in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<Records>,
}

/// All records, by key.
pub(crate) type Records = BTreeMap<String, Item>;

impl MemoryStore {
    /// Without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, look: impl FnOnce(&mut Records) -> T) -> T {
        // Nothing is half done when a thread panics: records are replaced as a whole.
        look(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl NetworkStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Item>, StoreError> {
        Ok(self.with(|records| records.get(key).cloned()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, StoreError> {
        Ok(self.with(|records| begin_with(records, prefix)))
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.with(|records| {
            *records = after(records, writes)?;
            Ok(())
        })
    }
}

pub(crate) fn begin_with(records: &Records, prefix: &str) -> Vec<(String, Item)> {
    let all = records.range(prefix.to_owned()..);
    let found = all.take_while(|(key, _)| key.starts_with(prefix));
    found
        .map(|(key, item)| (key.clone(), item.clone()))
        .collect()
}

/// Most writes of one commit.
pub(crate) const MAX_WRITES: usize = 100;

/// What `records` are after `writes`.
pub(crate) fn after(records: &Records, writes: Vec<Write>) -> Result<Records, StoreError> {
    if writes.len() > MAX_WRITES {
        return Err(StoreError::Impossible("it has more than 100 writes"));
    }
    let mut next = records.clone();
    let mut seen = std::collections::BTreeSet::new();
    for write in writes {
        if !seen.insert(write.key.clone()) {
            return Err(StoreError::Impossible("it writes one record twice"));
        }
        let revision = records.get(&write.key).map(|item| item.revision);
        let holds = match write.condition {
            Condition::Absent => revision.is_none(),
            Condition::Revision(wanted) => revision == Some(wanted),
            Condition::None => true,
        };
        if !holds {
            return Err(StoreError::Conflict(write.key));
        }
        match write.value {
            Some(value) => {
                let item = Item::new(value, revision.unwrap_or_default() + 1);
                next.insert(write.key, item);
            }
            None => drop(next.remove(&write.key)),
        }
    }
    Ok(next)
}
