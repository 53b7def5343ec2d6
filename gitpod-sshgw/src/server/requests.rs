//! The requests in a client's channels, and their answers.

use std::collections::HashMap;
use std::time::Duration;

use russh::ChannelId;
use russh::server;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::session::Session;

/// What the workspace answers to the requests in each channel with a program.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    of: HashMap<ChannelId, Requests>,
}

/// The answers to the requests in a channel, in their order.
#[derive(Debug)]
struct Requests {
    replies: mpsc::UnboundedReceiver<bool>,
    started: bool,
    /// Requests that were answered before the workspace was there to answer.
    answered: usize,
}

impl Requests {
    async fn next(&mut self) -> Option<bool> {
        while self.answered > 0 {
            self.replies.recv().await?;
            self.answered -= 1;
        }
        self.replies.recv().await
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    Prepares,
    StartsProgram,
}

impl Programs {
    /// Where to put the answers to the requests in `channel`.
    pub(crate) fn expect(&mut self, channel: ChannelId) -> mpsc::UnboundedSender<bool> {
        let (sender, replies) = mpsc::unbounded_channel();
        self.of.retain(|_, known| !known.replies.is_closed());
        let requests = Requests {
            replies,
            started: false,
            answered: 0,
        };
        self.of.insert(channel, requests);
        sender
    }

    pub(crate) fn forget(&mut self, channel: ChannelId) {
        self.of.remove(&channel);
    }

    /// What the workspace answers to a request that was just sent on.
    ///
    /// The library knows which request an answer is for only until the next one, so
    /// the next one must wait.
    pub(crate) async fn answer(
        &mut self,
        session: &Session,
        channel: ChannelId,
        request: Request,
    ) -> bool {
        let Some(requests) = self.of.get_mut(&channel) else {
            return false;
        };
        if requests.started {
            return false;
        }
        requests.started = request == Request::StartsProgram;
        if session.is_held() {
            // Whatever is behind this one must not wait for the start of a workspace.
            requests.answered += 1;
            return true;
        }
        let replied = timeout(PATIENCE, requests.next()).await;
        matches!(replied, Ok(Some(true)))
    }

    /// The same, and tells the client.
    pub(crate) async fn tell(
        &mut self,
        session: &Session,
        (channel, request): (ChannelId, Request),
        client: &mut server::Session,
    ) -> Result<(), russh::Error> {
        match self.answer(session, channel, request).await {
            true => client.channel_success(channel),
            false => client.channel_failure(channel),
        }
    }
}

/// How long the workspace may take to answer a request, in which the client's other
/// channels wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
