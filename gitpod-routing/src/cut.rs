//! What ends an answer that its client does not take.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Lets a listener end an answer although its client takes nothing of it.
///
/// A body can end only when it is asked for more, which a server does not do while the client reads nothing of what
/// there is. [`Forward`](crate::Forward) puts a `Cut` into the extensions of answers that may last, if something can
/// end the right to them. A listener waits for it until the body has been dropped; when it completes, it closes the
/// connection, or over HTTP/2 resets the stream. One that does not need not know of it: then such a connection lasts
/// until its writes time out.
///
/// ```
/// # async fn listen(mut response: http::Response<()>) {
/// use gitpod_routing::Cut;
///
/// if let Some(over) = response.extensions_mut().remove::<Cut>().and_then(|cut| cut.take()) {
///     over.await; // beside the connection
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Cut(Arc<Mutex<Option<Over>>>);

type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Cut {
    /// Once `over` completes.
    #[must_use]
    pub fn when(over: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(over)))))
    }

    /// What to wait for, once.
    #[must_use]
    pub fn take(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut").finish_non_exhaustive()
    }
}
