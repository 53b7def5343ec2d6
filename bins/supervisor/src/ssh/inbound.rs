use std::sync::{Arc, Weak};

use bytes::Bytes;
use russh::ChannelId;
use tokio::sync::mpsc;

use super::flow::{Flow, Held};

/// What a client sends to one channel, on its way to what reads it there. It ends when the [`Inlet`] is dropped.
pub(super) fn inbound(channel: ChannelId, flow: &Arc<Flow>) -> (Inlet, Outlet) {
    let (sender, queue) = mpsc::unbounded_channel();
    let held = Arc::new(Held::new(channel, Arc::clone(flow)));
    let inlet = Inlet {
        queue: sender,
        held: Arc::downgrade(&held),
    };
    let outlet = Outlet {
        queue,
        held,
        last: 0,
    };
    (inlet, outlet)
}

#[derive(Debug)]
pub(super) struct Inlet {
    queue: mpsc::UnboundedSender<Bytes>,
    held: Weak<Held>,
}

#[derive(Debug)]
pub(super) struct Outlet {
    queue: mpsc::UnboundedReceiver<Bytes>,
    held: Arc<Held>,
    /// The bytes of the piece that was handed out last: until the next is wanted, they are held.
    last: usize,
}

impl Inlet {
    /// Hands `data` on. What nobody reads any more is dropped.
    pub(super) fn push(&self, data: Bytes) {
        if let Some(held) = self.held.upgrade() {
            held.add(data.len());
            let _ = self.queue.send(data);
        }
    }
}

impl Outlet {
    /// The next piece; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.held.remove(std::mem::take(&mut self.last));
        let piece = self.queue.recv().await?;
        self.last = piece.len();
        Some(piece)
    }
}
