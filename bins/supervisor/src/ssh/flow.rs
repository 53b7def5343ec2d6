use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::{MOST_HELD_BYTES, WINDOW_BYTES};

/// What one client has sent and nobody has read yet, over all of its channels.
///
/// The library opens a window again as soon as bytes arrive, not when they are read, and knows one size of windows for a whole
/// connection. So where some channel holds too much, windows are opened by two bytes only, the least that lets it ask again; and
/// who then sends these few has to wait a little. Waiting for the reader itself instead would hold up the other channels, and even
/// what the reader needs to go on: the client's permission to write to it.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Channels that hold too much.
    congested: AtomicUsize,
    less: Notify,
}

const LEAST_WINDOW_BYTES: u32 = 2;
const PAUSE: Duration = Duration::from_millis(50);

impl Flow {
    /// How far a window is to be opened now.
    pub(super) fn window(&self) -> u32 {
        match self.is_congested() {
            true => LEAST_WINDOW_BYTES,
            false => WINDOW_BYTES,
        }
    }

    /// Slows down who has sent `length` bytes.
    pub(super) async fn pace(&self, length: usize) {
        let less = self.less.notified();
        if length <= LEAST_WINDOW_BYTES as usize && self.is_congested() {
            let _ = timeout(PAUSE, less).await; // either will do
        }
    }

    fn is_congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed) > 0
    }
}

/// The bytes that one channel holds.
#[derive(Debug)]
pub(super) struct Held {
    bytes: AtomicUsize,
    flow: Arc<Flow>,
}

impl Held {
    pub(super) fn new(flow: Arc<Flow>) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            flow,
        }
    }

    pub(super) fn add(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before <= MOST_HELD_BYTES && before + bytes > MOST_HELD_BYTES {
            self.flow.congested.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.went_from_to(before, before.saturating_sub(bytes));
    }

    fn went_from_to(&self, before: usize, after: usize) {
        if before > MOST_HELD_BYTES && after <= MOST_HELD_BYTES {
            self.flow.congested.fetch_sub(1, Ordering::Relaxed);
            self.flow.less.notify_one();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.went_from_to(self.bytes.load(Ordering::Relaxed), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_almost_closed_while_any_channel_holds_too_much() {
        let flow = Arc::new(Flow::default());
        let (one, other) = (Held::new(Arc::clone(&flow)), Held::new(Arc::clone(&flow)));
        one.add(MOST_HELD_BYTES);
        assert_eq!(flow.window(), WINDOW_BYTES);
        one.add(1);
        other.add(2 * MOST_HELD_BYTES);
        assert_eq!(flow.window(), LEAST_WINDOW_BYTES);
        one.remove(1);
        assert_eq!(flow.window(), LEAST_WINDOW_BYTES);
        drop(other);
        assert_eq!(flow.window(), WINDOW_BYTES);
    }
}
