//! The manager of this process as a source of statuses.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use gitpod_bridge::{SourceError, StatusSource, StatusStream};
use gitpod_lifecycle::{Manager, StatusUpdate, Subscription};

/// Statuses straight from a [`Manager`] in the same process.
#[derive(Debug)]
pub(super) struct ManagerSource {
    manager: Manager,
    /// For the first who asks: it has heard everything since this was made.
    first: Mutex<Option<Subscription<StatusUpdate>>>,
}

impl ManagerSource {
    /// Misses nothing that `manager` tells from now on.
    pub(super) fn new(manager: Manager) -> Self {
        let first = Mutex::new(Some(manager.subscribe()));
        Self { manager, first }
    }
}

#[async_trait]
impl StatusSource for ManagerSource {
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let updates = first.unwrap_or_else(|| self.manager.subscribe());
        let stream = stream::unfold(updates, |mut updates| async {
            let update = updates.next().await?;
            Some((update.map_err(SourceError::new), updates))
        });
        Ok(stream.boxed())
    }

    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        let live = self.manager.list().await.map_err(SourceError::new)?;
        Ok(live.into_iter().map(|live| live.update).collect())
    }
}
