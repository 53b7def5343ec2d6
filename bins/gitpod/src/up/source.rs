//! The manager of this process as a source of statuses.

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use gitpod_bridge::{SourceError, StatusSource, StatusStream};
use gitpod_lifecycle::{Manager, StatusUpdate};

/// Statuses straight from a [`Manager`] in the same process.
#[derive(Debug)]
pub(super) struct ManagerSource(pub(super) Manager);

#[async_trait]
impl StatusSource for ManagerSource {
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        let updates = self.0.subscribe();
        let stream = stream::unfold(updates, |mut updates| async {
            let update = updates.next().await?;
            Some((update.map_err(SourceError::new), updates))
        });
        Ok(stream.boxed())
    }

    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        let live = self.0.list().await.map_err(SourceError::new)?;
        Ok(live.into_iter().map(|live| live.update).collect())
    }
}
