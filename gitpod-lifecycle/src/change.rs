//! Who is told when something changes.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use gitpod_routing::InstanceId;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// Something has changed; what exactly, whoever is told has to look up.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Something about this instance.
    Of(InstanceId),
    /// Something about any instance: look at all of them.
    OfAny,
}

/// Changes as they happen, from the moment it was asked for. Ends with its source.
pub type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// Tells any number of listeners about changes, and never waits for one.
///
/// A listener that falls more than 1024 changes behind is told
/// [`Change::OfAny`] in their place, so nobody misses anything.
#[derive(Clone, Debug)]
pub struct ChangeFeed(broadcast::Sender<Change>);

/// Enough for every instance of one machine to change at once.
const CAPACITY: usize = 1024;

impl ChangeFeed {
    /// A feed without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Something about `instance` has changed.
    pub fn tell(&self, instance: &InstanceId) {
        let _ = self.0.send(Change::Of(instance.clone())); // nobody listens: fine
    }

    /// Changes from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let changes = BroadcastStream::new(self.0.subscribe());
        Box::pin(changes.map(|change| match change {
            Ok(change) => change,
            Err(BroadcastStreamRecvError::Lagged(_)) => Change::OfAny,
        }))
    }
}

impl Default for ChangeFeed {
    fn default() -> Self {
        Self::new()
    }
}
