//! How much may be sent to us before it was sent on.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use russh::ChannelId;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::pool::{Pool, Share};

/// What one side has sent in its channels, and the other did not take yet.
///
/// Clients are slowed down by their windows; servers that can be told are
/// [told](Held::tell), as the library opens their windows at once, whatever is said here.
///
/// The library opens a channel's window again as soon as bytes arrive, up to a target
/// that is one for all channels of a connection. If it waited for the reader instead,
/// it would hold up the other channels, and even the reader's permission to be written
/// to. So while a channel is full, the target is the least with which the sender comes
/// back: the full channel is left with that, and is made to wait each time; others that
/// come back are given more.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    full: Mutex<HashSet<ChannelId>>,
    less: Notify,
    /// The sender can be told to say no more in one channel.
    has_holds: AtomicBool,
}

impl Flow {
    pub(crate) fn set_holds(&self, has_holds: bool) {
        self.has_holds.store(has_holds, Ordering::Relaxed);
    }

    pub(crate) fn has_holds(&self) -> bool {
        self.has_holds.load(Ordering::Relaxed)
    }

    /// The next target, when the window of `channel` was just opened up to `target`.
    pub(crate) fn next_target(&self, channel: ChannelId, target: u32) -> u32 {
        let full = self.full();
        match target {
            _ if full.is_empty() => WINDOW,
            LEAST if !full.contains(&channel) => GRANT,
            _ => LEAST,
        }
    }

    /// Makes a sender wait that has sent `bytes` to `channel`, if it is full.
    pub(crate) async fn slow_down(&self, channel: ChannelId, bytes: usize) {
        if bytes > LEAST as usize || !self.full().contains(&channel) {
            return;
        }
        // Whichever comes first.
        let _ = timeout(PAUSE, self.less.notified()).await;
    }

    fn full(&self) -> MutexGuard<'_, HashSet<ChannelId>> {
        let full = self.full.lock();
        full.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What waits in one channel.
#[derive(Debug)]
pub(crate) struct Held {
    flow: Arc<Flow>,
    channel: ChannelId,
    share: Share,
    is_full: bool,
    /// Who wants to know when that changes.
    told: Option<mpsc::UnboundedSender<bool>>,
}

impl Held {
    pub(crate) const fn new(flow: Arc<Flow>, channel: ChannelId, pool: Pool) -> Self {
        Self {
            flow,
            channel,
            share: pool.share(),
            is_full: false,
            told: None,
        }
    }

    /// Tells `told` when there is too much, and when there is no longer.
    pub(crate) fn tell(&mut self, told: mpsc::UnboundedSender<bool>) {
        self.told = Some(told);
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.share.bytes()
    }

    /// Whether more may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes() < self.share.allowance(MOST)
    }

    /// Whether there is as much as one channel may ever have.
    pub(crate) const fn is_at_its_end(&self) -> bool {
        self.bytes() >= MOST
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        self.share.set(bytes);
        // What is full is so until half of it is gone.
        let room = self.share.allowance(ROOM);
        let room = if self.is_full { room / 2 } else { room };
        let is_full = bytes > 0 && bytes > room;
        if let (true, Some(told)) = (self.is_full != is_full, &self.told) {
            let _ = told.send(is_full); // nobody cares any more
        }
        match (self.is_full, is_full) {
            (false, true) => drop(self.flow.full().insert(self.channel)),
            (true, false) => {
                self.flow.full().remove(&self.channel);
                self.flow.less.notify_one();
            }
            _ => {}
        }
        self.is_full = is_full;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Bytes under way in a channel, as OpenSSH has them.
pub(crate) const WINDOW: u32 = 2 * 1024 * 1024;
/// What waits in a channel that is not full, where there is plenty.
const ROOM: usize = 512 * 1024;
/// What waits in a channel at most, where there is plenty: more than a sender with manners
/// has under way.
const MOST: usize = 4 * 1024 * 1024;
/// With this a sender comes back. With one byte, the library would forget it.
const LEAST: u32 = 2;
/// What a channel that is not full is given then, or a full one that is faster.
const GRANT: u32 = 256 * 1024;
/// How long a full channel waits each time: it costs little, and is not felt.
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use russh::keys::ssh_encoding::Decode as _;

    use super::*;

    #[test]
    fn a_full_channel_gets_the_least_and_others_go_on() {
        let flow = Arc::new(Flow::default());
        // There is no other way to an id without a connection.
        let id = |number: u8| ChannelId::decode(&mut [0, 0, 0, number].as_slice()).unwrap();
        let (slow, other) = (id(1), id(2));
        let pool = Pool::of(1 << 30);
        let mut held = Held::new(Arc::clone(&flow), slow, pool);
        held.set(ROOM);
        assert_eq!(flow.next_target(slow, WINDOW), WINDOW);
        let (told, mut hears) = mpsc::unbounded_channel();
        held.tell(told);
        held.set(ROOM + 1);
        held.set(ROOM - 1); // not yet half
        assert_eq!((hears.try_recv(), hears.is_empty()), (Ok(true), true));
        for (channel, target, expected) in [
            (slow, WINDOW, LEAST),
            (slow, LEAST, LEAST),
            (other, LEAST, GRANT),
            (other, GRANT, LEAST),
            (slow, GRANT, LEAST),
        ] {
            assert_eq!(flow.next_target(channel, target), expected);
        }
        held.set(ROOM / 2);
        assert_eq!(hears.try_recv(), Ok(false));
        assert_eq!(flow.next_target(slow, LEAST), WINDOW);
    }

    #[test]
    fn where_much_waits_already_a_channel_is_full_sooner() {
        let id = ChannelId::decode(&mut [0, 0, 0, 1].as_slice()).unwrap();
        let (flow, pool) = (Arc::new(Flow::default()), Pool::of(16 * ROOM));
        let mut held = Held::new(Arc::clone(&flow), id, pool.clone());
        held.set(ROOM / 4);
        assert_eq!(
            (flow.next_target(id, WINDOW), held.has_room()),
            (WINDOW, true)
        );
        let mut others = pool.share();
        others.set(12 * ROOM);
        held.set(ROOM / 4);
        assert_eq!(
            (flow.next_target(id, WINDOW), held.has_room()),
            (LEAST, false)
        );
    }
}
