//! Being told what happens to instances.

use gitpod_routing::InstanceId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::content::ProgressStep;
use crate::spec::WorkspaceName;
use crate::status::update::StatusUpdate;

/// How many messages a subscriber may fall behind: as many as the reference
/// system allows (manager specification, section 12).
const QUEUE: usize = 250;

/// Everything that is published.
#[derive(Debug)]
pub(crate) struct Publisher {
    updates: broadcast::Sender<StatusUpdate>,
    progress: broadcast::Sender<ContentProgress>,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        Self {
            updates: broadcast::Sender::new(QUEUE),
            progress: broadcast::Sender::new(QUEUE),
        }
    }

    pub(crate) fn update(&self, update: StatusUpdate) {
        let _ = self.updates.send(update); // nobody listens: fine
    }

    pub(crate) fn progress(&self, progress: ContentProgress) {
        let _ = self.progress.send(progress);
    }

    pub(crate) fn subscribe(&self) -> Subscription<StatusUpdate> {
        Subscription(self.updates.subscribe())
    }

    pub(crate) fn subscribe_progress(&self) -> Subscription<ContentProgress> {
        Subscription(self.progress.subscribe())
    }
}

/// How far the content of one instance is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ContentProgress {
    /// The workspace.
    pub workspace: WorkspaceName,
    /// The instance that waits for it.
    pub instance: InstanceId,
    /// What is being done.
    pub step: ProgressStep,
}

impl ContentProgress {
    pub(crate) fn new(workspace: WorkspaceName, instance: InstanceId, step: ProgressStep) -> Self {
        Self {
            workspace,
            instance,
            step,
        }
    }
}

/// What happens from the moment of subscribing. Nothing from before is repeated:
/// subscribe first, then list.
///
/// Publishing never waits. A subscriber that falls more than 250 messages behind
/// loses the oldest ones and is told so.
#[derive(Debug)]
pub struct Subscription<T>(broadcast::Receiver<T>);

impl<T: Clone> Subscription<T> {
    /// The next message; `None` once the manager is gone.
    ///
    /// May be dropped while it waits without losing anything.
    ///
    /// # Errors
    ///
    /// [`Lagged`] in the place of messages that were lost. Later messages follow;
    /// list again, or give up.
    pub async fn next(&mut self) -> Option<Result<T, Lagged>> {
        match self.0.recv().await {
            Ok(message) => Some(Ok(message)),
            Err(RecvError::Lagged(lost)) => Some(Err(Lagged { lost })),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The subscriber was too slow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("subscriber was too slow: {lost} messages are lost")]
#[non_exhaustive]
pub struct Lagged {
    /// How many messages it will never see.
    pub lost: u64,
}
