//! What one side sent faster than the other takes it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use russh::{ChannelId, ChannelMsg, ChannelReadHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::flow::{Flow, Held};
use super::pool::Pool;
use super::session::Session;

/// Messages of one channel in one direction, which wait to be sent on.
///
/// They are taken from the library at once, so that it never waits for one channel, and
/// counted, so that their sender is. A sender that goes on nevertheless fills what it may
/// [hold](Held::has_room), after which its whole connection waits. A channel with so much in
/// it that only bad manners explain it, where others are in its connection, is closed after
/// [`PATIENCE`].
#[derive(Debug)]
pub(crate) struct Waiting {
    messages: VecDeque<ChannelMsg>,
    held: Held,
    /// Its sender has said the last.
    ended: bool,
}

/// The channel keeps others from going on.
#[derive(Debug)]
pub(crate) struct Stuck;

impl Waiting {
    pub(crate) const fn new(flow: Arc<Flow>, channel: ChannelId, pool: Pool) -> Self {
        Self {
            messages: VecDeque::new(),
            held: Held::new(flow, channel, pool),
            ended: false,
        }
    }

    /// Tells `told` when the sender should be held back, and when no longer.
    pub(crate) fn tell(&mut self, told: mpsc::UnboundedSender<bool>) {
        self.held.tell(told);
    }

    /// What to send next.
    pub(crate) async fn next(&mut self, from: &mut ChannelReadHalf) -> Option<ChannelMsg> {
        match self.messages.pop_front() {
            Some(message) => {
                let rest = self.held.bytes().saturating_sub(size_of(&message));
                self.held.set(rest);
                Some(message)
            }
            None if self.ended => None,
            None => from.wait().await,
        }
    }

    /// Runs `sending`, and takes what comes meanwhile.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        sending: impl Future<Output = T>,
        from: &mut ChannelReadHalf,
        session: &Session,
    ) -> Result<T, Stuck> {
        let mut sending = pin!(sending);
        let mut look = Instant::now() + PATIENCE;
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return Ok(sent),
                message = from.wait(), if !self.ended && self.held.has_room() => match message {
                    Some(message) => {
                        self.held.set(self.held.bytes() + size_of(&message));
                        self.messages.push_back(message);
                    }
                    None => self.ended = true,
                },
                () = sleep_until(look) => {
                    if self.held.is_at_its_end() && session.traffic.has_several_channels() {
                        return Err(Stuck);
                    }
                    look = Instant::now() + PATIENCE;
                }
            }
        }
    }
}

fn size_of(message: &ChannelMsg) -> usize {
    match message {
        ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => data.len() + OTHERS,
        _ => OTHERS,
    }
}

/// How long a channel may halt others.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a message is counted beside its data.
const OTHERS: usize = 128;
