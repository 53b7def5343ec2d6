//! Where statuses come from.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;
use gitpod_lifecycle::StatusUpdate;

use crate::BoxError;

/// Reports the statuses of the instances of one cluster.
///
/// A [`Bridge`](crate::Bridge) opens the stream, then asks for the list, and
/// feeds list and stream to the store; what is in both does no harm. It does so
/// once at its start, after each end of the stream, and every ten minutes.
///
/// # Contract
///
/// - [`subscribe`](Self::subscribe): every change after the answer is in the
///   stream. It may say a status twice, and may leave out all but the newest of
///   one phase. It ends, or yields an error, as soon as it has lost one.
/// - [`list`](Self::list): the newest status of each instance that the cluster
///   knows, also of those that have stopped.
///
/// Dropping a future or the stream ends the subscription.
///
/// # Source
///
/// `GetWorkspaces` and `Subscribe` of the manager's service.
#[async_trait]
pub trait StatusSource: fmt::Debug + Send + Sync + 'static {
    /// Opens the stream of all changes from now on.
    ///
    /// # Errors
    ///
    /// [`SourceError`] when the cluster cannot be reached.
    async fn subscribe(&self) -> Result<StatusStream, SourceError>;

    /// The newest status of each instance.
    ///
    /// # Errors
    ///
    /// [`SourceError`] when the cluster cannot be reached.
    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError>;
}

/// Changes of instances. After an error or its end there is nothing more.
pub type StatusStream = Pin<Box<dyn Stream<Item = Result<StatusUpdate, SourceError>> + Send>>;

/// A cluster could not be asked, or a stream has lost something.
#[derive(Debug, thiserror::Error)]
#[error("cluster out of reach")]
pub struct SourceError(#[source] BoxError);

impl SourceError {
    /// Because of `cause`.
    #[must_use]
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}
