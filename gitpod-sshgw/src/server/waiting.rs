//! What clients sent faster than the workspace takes it.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time::{Instant, sleep_until};

use super::session::Session;

/// Messages of one channel that wait for the workspace.
///
/// The library takes the client's next packet only when a channel has room for the last
/// one. A program that does not read what it is sent would thus halt everything else in
/// the connection. So a channel that is full, and of which nothing was taken for
/// [`PATIENCE`], is closed if there are others. While it is alone it may wait for ever.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    messages: VecDeque<ChannelMsg>,
    bytes: usize,
    /// The client has said its last.
    ended: bool,
}

/// The channel keeps others from going on.
#[derive(Debug)]
pub(crate) struct Stuck;

impl Waiting {
    /// What to send next.
    pub(crate) async fn next(&mut self, from_client: &mut ChannelReadHalf) -> Option<ChannelMsg> {
        match self.messages.pop_front() {
            Some(message) => {
                self.bytes = self.bytes.saturating_sub(size_of(&message));
                Some(message)
            }
            None if self.ended => None,
            None => from_client.wait().await,
        }
    }

    /// Runs `sending`, and takes what comes meanwhile, as far as there is room.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        sending: impl Future<Output = T>,
        from_client: &mut ChannelReadHalf,
        session: &Session,
    ) -> Result<T, Stuck> {
        let mut sending = pin!(sending);
        let mut look = Instant::now() + PATIENCE;
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return Ok(sent),
                message = from_client.wait(), if !self.ended && self.bytes < ROOM => match message {
                    Some(message) => {
                        self.bytes += size_of(&message);
                        self.messages.push_back(message);
                    }
                    None => self.ended = true,
                },
                () = sleep_until(look) => {
                    if self.bytes >= ROOM && session.traffic.has_several_channels() {
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
        ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => data.len(),
        _ => OTHERS,
    }
}

/// How long a channel may halt others.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that may wait: some packets, as much as waits in the library.
const ROOM: usize = 512 * 1024;
/// What a message without data counts.
const OTHERS: usize = 64;
