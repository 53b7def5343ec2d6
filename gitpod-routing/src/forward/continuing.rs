//! `Expect: 100-continue`: the body waits until the server asks for it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Opens when the server says `100 Continue`, or after a second.
pub(crate) struct Gate {
    opened: oneshot::Receiver<()>,
    patience: Pin<Box<Sleep>>,
}

impl Gate {
    /// A gate, and what opens it.
    pub(crate) fn new() -> (Self, oneshot::Sender<()>) {
        let (open, opened) = oneshot::channel();
        let patience = Box::pin(sleep(PATIENCE));
        (Self { opened, patience }, open)
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A dropped sender opens nothing: the answer may already be there, without body.
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.opened).poll(cx) {
            return Poll::Ready(());
        }
        self.patience.as_mut().poll(cx)
    }
}

/// How long a server may stay silent before it gets the body unasked.
/// **Source:** the reference; RFC 9110, section 10.1.1 asks for a limit.
const PATIENCE: Duration = Duration::from_secs(1);
