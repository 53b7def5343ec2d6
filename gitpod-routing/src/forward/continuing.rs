//! `Expect: 100-continue`: the body waits until the server asks for it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Opens when the server says `100 Continue`, or after a second.
pub(crate) struct Gate {
    /// `None` once the server can no longer say so: a receiver has one answer only.
    opened: Option<oneshot::Receiver<()>>,
    patience: Pin<Box<Sleep>>,
}

impl Gate {
    /// A gate, and what opens it.
    pub(crate) fn new() -> (Self, oneshot::Sender<()>) {
        let (open, opened) = oneshot::channel();
        let gate = Self {
            opened: Some(opened),
            patience: Box::pin(sleep(PATIENCE)),
        };
        (gate, open)
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(opened) = self.opened.as_mut() {
            match Pin::new(opened).poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(()),
                // A dropped sender opens nothing: the answer may already be there, without body.
                Poll::Ready(Err(_)) => self.opened = None,
                Poll::Pending => {}
            }
        }
        self.patience.as_mut().poll(cx)
    }
}

/// How long a server may stay silent before it gets the body unasked.
/// **Source:** the reference; RFC 9110, section 10.1.1 asks for a limit.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gate_that_nobody_can_open_any_more_opens_in_time() {
        let (gate, open) = Gate::new();
        let mut gate = task::spawn(gate);
        assert_pending!(gate.poll());
        drop(open);
        assert_pending!(gate.poll());
        assert_pending!(gate.poll());
        tokio::time::advance(PATIENCE).await;
        assert_ready!(gate.poll());
    }

    #[tokio::test(start_paused = true)]
    async fn gate_opens_at_once_when_the_server_asks() {
        let (gate, open) = Gate::new();
        let mut gate = task::spawn(gate);
        assert_pending!(gate.poll());
        open.send(()).unwrap();
        assert_ready!(gate.poll());
    }
}
