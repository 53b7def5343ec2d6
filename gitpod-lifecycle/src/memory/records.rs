//! Records in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gitpod_routing::InstanceId;

use super::lock;
use crate::change::{ChangeFeed, Changes};
use crate::records::{Listing, Record, RecordError, Records};
use crate::spec::Spec;
use crate::status::Status;

/// [`Records`] that end with the process. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords {
    records: Arc<Mutex<HashMap<InstanceId, Record>>>,
    feed: ChangeFeed,
}

impl MemoryRecords {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With `records` to begin with.
    #[cfg(feature = "process")]
    pub(crate) fn holding(records: impl IntoIterator<Item = Record>) -> Self {
        let new = Self::new();
        lock(&new.records).extend(records.into_iter().map(|r| (r.spec.instance.clone(), r)));
        new
    }

    pub(crate) fn find(&self, instance: &InstanceId) -> Option<Record> {
        lock(&self.records).get(instance).cloned()
    }

    /// What `replace` would keep.
    #[cfg(feature = "process")]
    pub(crate) fn successor(&self, mut record: Record) -> Result<Record, RecordError> {
        let id = &record.spec.instance;
        let version = lock(&self.records).get(id).map(|kept| kept.version);
        match version {
            Some(version) if version == record.version => {
                record.version += 1;
                Ok(record)
            }
            _ => Err(RecordError::Changed(id.clone())),
        }
    }

    #[cfg(feature = "process")]
    pub(crate) fn keep(&self, record: Record) {
        let id = record.spec.instance.clone();
        lock(&self.records).insert(id.clone(), record);
        self.feed.tell(&id);
    }

    pub(crate) fn forget(&self, instance: &InstanceId) {
        if lock(&self.records).remove(instance).is_some() {
            self.feed.tell(instance);
        }
    }

    pub(crate) fn all(&self) -> Vec<Record> {
        lock(&self.records).values().cloned().collect()
    }
}

#[async_trait]
impl Records for MemoryRecords {
    async fn create(&self, spec: Spec, status: Status) -> Result<Record, RecordError> {
        let record = Record::first(spec, status);
        let id = record.spec.instance.clone();
        {
            let mut records = lock(&self.records);
            if records.contains_key(&id) {
                return Err(RecordError::Exists(id));
            }
            records.insert(id.clone(), record.clone());
        }
        self.feed.tell(&id);
        Ok(record)
    }

    async fn get(&self, instance: &InstanceId) -> Result<Option<Record>, RecordError> {
        Ok(self.find(instance))
    }

    async fn replace(&self, record: Record) -> Result<Record, RecordError> {
        let id = record.spec.instance.clone();
        let next = {
            let mut records = lock(&self.records);
            let kept = records
                .get_mut(&id)
                .filter(|kept| kept.version == record.version);
            let Some(kept) = kept else {
                return Err(RecordError::Changed(id));
            };
            *kept = record;
            kept.version += 1;
            kept.clone()
        };
        self.feed.tell(&id);
        Ok(next)
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), RecordError> {
        self.forget(instance);
        Ok(())
    }

    async fn list(&self) -> Result<Listing, RecordError> {
        Ok(Listing {
            records: self.all(),
            broken: Vec::new(),
        })
    }

    fn changes(&self) -> Changes {
        self.feed.changes()
    }
}
