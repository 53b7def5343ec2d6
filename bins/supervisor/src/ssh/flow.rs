use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::{ChannelId, Sig};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{MOST_CHANNELS, MOST_HELD_BYTES, WINDOW_BYTES};

/// What one client has sent and nobody has read yet, over all of its channels.
///
/// The library opens a window again as soon as bytes arrive, not when they are read, and by a target that it has for a whole
/// connection. To wait for the reader instead would hold up the other channels, and even what the reader needs to go on: the
/// client's permission to write to it. So while some channel is full, the target is the least that lets a client ask again.
///
/// A full channel is left with that, and waits a little each time that it is used. Others that have used it are given more when
/// it is known that nothing is on its way to the full one: right after it has been given its least.
#[derive(Debug, Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    less: Notify,
    held_back: HeldBack,
}

#[derive(Debug, Default)]
struct State {
    /// Channels that hold too much, and how much.
    full: HashMap<ChannelId, usize>,
    /// Others that have been given the least.
    waiting: HashSet<ChannelId>,
}

const LEAST_BYTES: u32 = 2;
const GRANT_BYTES: u32 = 128 * 1024;
/// Between two uses of the least: long where it costs nobody anything.
const PAUSE: Duration = Duration::from_millis(50);
const SHORT_PAUSE: Duration = Duration::from_millis(2);
/// The least may be a grant if bytes come in another order than they should. Too often, and everybody waits.
const FAR_TOO_MUCH_BYTES: usize = 8 * MOST_HELD_BYTES;

/// Channels in which the client wants to hear no more for now: it has a reader that is slow, and other channels that need not wait
/// for that one. Windows do not tell it, as the gateway's library opens them whenever bytes arrive.
#[derive(Debug, Default)]
struct HeldBack {
    channels: Mutex<HashSet<ChannelId>>,
    fewer: Notify,
}

impl HeldBack {
    fn channels(&self) -> MutexGuard<'_, HashSet<ChannelId>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client says of a channel by the name of a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    Hold,
    Go,
}

impl Word {
    pub(super) fn of(signal: &Sig) -> Option<Self> {
        match signal {
            Sig::Custom(name) if name == HOLD => Some(Self::Hold),
            Sig::Custom(name) if name == GO => Some(Self::Go),
            _ => None,
        }
    }
}

/// As the gateway sends them.
const HOLD: &str = "HOLD@gitpod.io";
const GO: &str = "GO@gitpod.io";

impl Flow {
    /// Does as the client has said of `channel`, one of `MOST_CHANNELS`.
    pub(super) fn obey(&self, channel: ChannelId, word: Word) {
        let mut channels = self.held_back.channels();
        match word {
            Word::Hold if channels.len() < MOST_CHANNELS => drop(channels.insert(channel)),
            Word::Hold => {}
            Word::Go => {
                channels.remove(&channel);
                self.held_back.fewer.notify_waiters();
            }
        }
    }

    /// Waits until the client wants to hear more on `channel`.
    pub(super) async fn wanted(&self, channel: ChannelId) {
        loop {
            let fewer = self.held_back.fewer.notified();
            if !self.held_back.channels().contains(&channel) {
                return;
            }
            fewer.await;
        }
    }

    /// The next target, after the window of `channel` has been opened up to `target`.
    pub(super) fn next_target(&self, channel: ChannelId, target: u32) -> u32 {
        let mut state = self.state();
        if state.full.is_empty() {
            state.waiting.clear();
            return WINDOW_BYTES;
        }
        match (state.full.contains_key(&channel), target) {
            (true, LEAST_BYTES) if !state.waiting.is_empty() => return GRANT_BYTES,
            (true, LEAST_BYTES) => {}
            (true, _) => state.waiting.clear(), // who did not come has nothing to send
            (false, LEAST_BYTES) => drop(state.waiting.insert(channel)),
            (false, _) => drop(state.waiting.remove(&channel)),
        }
        LEAST_BYTES
    }

    /// Slows down the client that has sent `length` bytes to `channel`.
    pub(super) async fn pace(&self, channel: ChannelId, length: usize) {
        let less = self.less.notified();
        let pause = {
            let state = self.state();
            match state.full.get(&channel) {
                None => return,
                Some(held) if *held > FAR_TOO_MUCH_BYTES => Duration::MAX,
                Some(_) if length > LEAST_BYTES as usize => return,
                Some(_) if state.waiting.is_empty() => PAUSE,
                Some(_) => SHORT_PAUSE,
            }
        };
        let _ = timeout(pause, less).await; // either will do
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, channel: ChannelId, bytes: usize) {
        let mut state = self.state();
        if bytes > MOST_HELD_BYTES {
            state.full.insert(channel, bytes);
        } else if state.full.remove(&channel).is_some() {
            self.less.notify_one();
        }
    }
}

/// The bytes that one channel holds.
#[derive(Debug)]
pub(super) struct Held {
    channel: ChannelId,
    bytes: AtomicUsize,
    flow: Arc<Flow>,
}

impl Held {
    pub(super) fn new(channel: ChannelId, flow: Arc<Flow>) -> Self {
        Self {
            channel,
            bytes: AtomicUsize::new(0),
            flow,
        }
    }

    pub(super) fn add(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.flow.holds(self.channel, before + bytes);
    }

    pub(super) fn remove(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.flow.holds(self.channel, before.saturating_sub(bytes));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.flow.holds(self.channel, 0);
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_encoding::Decode;

    use super::*;

    #[test]
    fn words_are_those_of_the_gateway() {
        use gitpod_sshgw::Upstream;
        let word = |name: &str| Word::of(&Sig::Custom(name.to_owned()));
        assert_eq!(word(Upstream::HOLD), Some(Word::Hold));
        assert_eq!(word(Upstream::GO), Some(Word::Go));
        assert_eq!(word("USR2"), None);
    }

    #[test]
    fn full_channel_gets_the_least_and_others_get_more_in_turn() {
        let flow = Arc::new(Flow::default());
        // There is no other way to one without a connection.
        let id = |number: u8| ChannelId::decode(&mut [0, 0, 0, number].as_slice()).unwrap();
        let [full, other] = [id(1), id(2)];
        let held = Held::new(full, Arc::clone(&flow));
        held.add(MOST_HELD_BYTES);
        assert_eq!(flow.next_target(full, WINDOW_BYTES), WINDOW_BYTES);
        held.add(1);
        for (channel, target, next) in [
            (full, WINDOW_BYTES, LEAST_BYTES),
            (full, LEAST_BYTES, LEAST_BYTES),
            (other, LEAST_BYTES, LEAST_BYTES), // it waits now
            (full, LEAST_BYTES, GRANT_BYTES),
            (other, GRANT_BYTES, LEAST_BYTES),
            (full, LEAST_BYTES, LEAST_BYTES), // nobody waits
            (other, LEAST_BYTES, LEAST_BYTES),
            (full, LEAST_BYTES, GRANT_BYTES),
            (full, GRANT_BYTES, LEAST_BYTES), // the wrong one came
            (full, LEAST_BYTES, LEAST_BYTES),
        ] {
            assert_eq!(flow.next_target(channel, target), next);
        }
        held.remove(1);
        assert_eq!(flow.next_target(full, LEAST_BYTES), WINDOW_BYTES);
        held.add(1);
        drop(held);
        assert_eq!(flow.next_target(other, LEAST_BYTES), WINDOW_BYTES);
    }
}
