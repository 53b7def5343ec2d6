//! What a listener waits for at its end.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// Lets a listener know how long something lasts that has come of a request, and end it.
///
/// A connection that changes its protocol leaves its server. A listener that puts a `Stay` in the
/// extensions of a request still counts what the connection has become, for as long as a clone is
/// held, and can ask it to end: [`Forward`](crate::Forward) then tells the client of a
/// WebSocket why, with a close frame (1012, "service restart"), and closes.
///
/// ```
/// use std::sync::Arc;
/// use gitpod_routing::Stay;
///
/// let (end, over) = tokio::sync::watch::channel(false);
/// let place = Arc::new("dropped when the connection is gone");
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(Stay::new(over, place));
/// end.send_replace(true); // later: it has to go now
/// ```
#[derive(Clone)]
pub struct Stay {
    over: watch::Receiver<bool>,
    _kept: Arc<dyn Any + Send + Sync>,
}

impl Stay {
    /// Until `over` is true, or nobody can say so any more. `kept` is dropped with the last clone.
    #[must_use]
    pub fn new(over: watch::Receiver<bool>, kept: Arc<dyn Any + Send + Sync>) -> Self {
        Self { over, _kept: kept }
    }

    /// Waits until it is over.
    pub async fn over(&mut self) {
        // Fails if the listener is gone, and nobody waits any more.
        let _ = self.over.wait_for(|over| *over).await;
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay").finish_non_exhaustive()
    }
}
