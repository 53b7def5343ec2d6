//! Whether a manager was heard at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gitpod_bridge::{SourceError, StatusSource, StatusStream};
use gitpod_lifecycle::StatusUpdate;

/// Notes when a source was listed for the first time, for the readiness check.
#[derive(Debug)]
pub(crate) struct Noting<S> {
    pub(crate) source: S,
    pub(crate) listed: Arc<AtomicBool>,
}

#[async_trait]
impl<S: StatusSource> StatusSource for Noting<S> {
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        self.source.subscribe().await
    }

    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        let list = self.source.list().await?;
        self.listed.store(true, Ordering::Release);
        Ok(list)
    }
}
