//! A cluster that reports what it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt;
use gitpod_lifecycle::StatusUpdate;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::source::{SourceError, StatusSource, StatusStream};

/// Reports what it is told to report, to any number of subscribers.
///
/// A subscriber that falls behind by more than 250 statuses loses its stream, as
/// at the reference manager. Clones share what they know.
#[derive(Clone, Debug)]
pub struct MemorySource {
    known: Arc<Mutex<BTreeMap<String, StatusUpdate>>>,
    subscribers: Arc<Mutex<broadcast::Sender<StatusUpdate>>>,
}

impl Default for MemorySource {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            subscribers: Arc::new(Mutex::new(channel())),
        }
    }
}

fn channel() -> broadcast::Sender<StatusUpdate> {
    broadcast::channel(250).0
}

impl MemorySource {
    /// Knows no instance.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports `status`, and lists it from now on.
    pub fn report(&self, status: StatusUpdate) {
        let mut known = self.known();
        known.insert(status.id.clone(), status.clone());
        // Fails if nobody has subscribed, which is nobody's fault.
        drop(self.subscribers().send(status));
    }

    /// Lists instance `id` no longer, and says nothing of it.
    pub fn forget(&self, id: &str) {
        self.known().remove(id);
    }

    /// Ends all streams.
    pub fn disconnect(&self) {
        *self.subscribers() = channel();
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, StatusUpdate>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribers(&self) -> MutexGuard<'_, broadcast::Sender<StatusUpdate>> {
        let subscribers = self.subscribers.lock();
        subscribers.unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StatusSource for MemorySource {
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        let stream = BroadcastStream::new(self.subscribers().subscribe());
        Ok(stream.map(|next| next.map_err(SourceError::new)).boxed())
    }

    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        Ok(self.known().values().cloned().collect())
    }
}
