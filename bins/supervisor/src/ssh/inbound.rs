use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::MOST_HELD_BYTES;

/// What a client sends to one channel, on its way to what reads it there. It ends when the [`Inlet`] is dropped.
pub(super) fn inbound() -> (Inlet, Outlet) {
    let (sender, queue) = mpsc::unbounded_channel();
    let held = Arc::new(Held::default());
    let inlet = Inlet {
        queue: sender,
        held: Arc::clone(&held),
    };
    let outlet = Outlet {
        queue,
        held,
        last: 0,
    };
    (inlet, outlet)
}

#[derive(Clone, Debug)]
pub(super) struct Inlet {
    queue: mpsc::UnboundedSender<Bytes>,
    held: Arc<Held>,
}

#[derive(Debug)]
pub(super) struct Outlet {
    queue: mpsc::UnboundedReceiver<Bytes>,
    held: Arc<Held>,
    /// The bytes of the piece that was handed out last: until the next is wanted, they are held.
    last: usize,
}

#[derive(Debug, Default)]
struct Held {
    bytes: AtomicUsize,
    less: Notify,
}

impl Inlet {
    /// Hands `data` on. What nobody reads any more is dropped.
    pub(super) fn push(&self, data: &[u8]) {
        self.held.bytes.fetch_add(data.len(), Ordering::Relaxed);
        let _ = self.queue.send(Bytes::copy_from_slice(data));
    }

    /// Waits until there is room for more, or nobody reads any more.
    pub(super) async fn room(&self) {
        loop {
            let less = self.held.less.notified();
            if self.held.bytes.load(Ordering::Relaxed) <= MOST_HELD_BYTES {
                return;
            }
            tokio::select! {
                () = less => {}
                () = self.queue.closed() => return,
            }
        }
    }
}

impl Outlet {
    /// The next piece; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.held.bytes.fetch_sub(self.last, Ordering::Relaxed);
        self.last = 0;
        self.held.less.notify_one();
        let piece = self.queue.recv().await?;
        self.last = piece.len();
        Some(piece)
    }
}
