//! Channels that clients open towards the workspace.

use std::sync::Arc;

use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure, client};
use tokio::sync::mpsc;

use super::explain::explain;
use super::hold::settle;
use super::link::{Lane, Link};
use super::pipe::{ClientEnd, STDERR, pipe};
use super::session::{OpenChannel, Session};
use super::waiting::Stuck;
use crate::policy::ChannelAsk;

/// What a client wants to open.
#[derive(Debug)]
pub(crate) enum Opening {
    /// A program.
    Session,
    /// A connection from the workspace to somewhere.
    Dial {
        to: (String, u32),
        from: (String, u32),
    },
    /// A connection to a unix socket in the workspace.
    DialSocket(String),
}

impl Opening {
    pub(crate) fn ask(&self) -> ChannelAsk<'_> {
        match self {
            Self::Session => ChannelAsk::Session,
            Self::Dial {
                to: (host, port), ..
            } => ChannelAsk::Dial { host, port: *port },
            Self::DialSocket(path) => ChannelAsk::DialSocket(path),
        }
    }

    async fn open(&self, lane: &Lane) -> Result<Channel<client::Msg>, russh::Error> {
        let workspace = &lane.handle;
        match self {
            Self::Session => workspace.channel_open_session().await,
            Self::Dial { to, from } => {
                workspace
                    .channel_open_direct_tcpip(&*to.0, to.1, &*from.0, from.1)
                    .await
            }
            Self::DialSocket(path) => workspace.channel_open_direct_streamlocal(&**path).await,
        }
    }
}

/// A channel that a client has asked for and was not yet answered.
pub(crate) struct Asked {
    pub(crate) place: OpenChannel,
    pub(crate) channel: Channel<Msg>,
    pub(crate) reply: ChannelOpenHandle,
    pub(crate) replies: Option<mpsc::UnboundedSender<bool>>,
}

impl Asked {
    /// Opens the twin in the workspace, answers, and sends on what comes.
    pub(crate) async fn serve(self, opening: Opening) {
        let session = Arc::clone(self.place.session());
        let is_program = matches!(opening, Opening::Session);
        if is_program && session.is_held() {
            // Boxed, as is all that few channels need: each has room for it while it is open.
            return Box::pin(self.serve_held(&session, &opening)).await;
        }
        let twin = Box::pin(Self::twin(&session, &opening)).await;
        let client = ClientEnd::new(&session, self.channel);
        match twin {
            Ok((lane, twin)) => {
                self.reply.accept().await;
                let twin = (twin, Arc::clone(&lane.flow));
                pipe(&session, client, twin, self.replies).await;
            }
            Err(Refused::Channel(reason)) => self.reply.reject(reason).await,
            Err(Refused::Session(text)) if is_program => {
                self.reply.accept().await;
                Box::pin(explain(client, self.replies, &text)).await;
            }
            Err(Refused::Session(_)) => self.reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
    }

    /// The same while the workspace is on its way up: the channel is there at once, so that
    /// its client can be told, and what it says is kept until there is a twin.
    async fn serve_held(self, session: &Arc<Session>, opening: &Opening) {
        self.reply.accept().await;
        let mut client = ClientEnd::new(session, self.channel);
        let word = session.word_of_hold();
        drop(client.to.extended_data_bytes(STDERR, word).await);
        let twin = Self::twin(session, opening);
        match client.meanwhile(session, twin).await {
            Ok(Ok((lane, twin))) => {
                let twin = (twin, Arc::clone(&lane.flow));
                pipe(session, client, twin, self.replies).await;
            }
            Ok(Err(Refused::Session(text))) => explain(client, self.replies, &text).await,
            Ok(Err(Refused::Channel(_))) | Err(Stuck) => drop(client.to.close().await),
        }
    }

    async fn twin(
        session: &Arc<Session>,
        opening: &Opening,
    ) -> Result<(Arc<Lane>, Channel<client::Msg>), Refused> {
        settle(session).await.map_err(Refused::Session)?;
        let lane = Link::lane(session).await;
        let lane =
            lane.map_err(|why| Refused::Session(super::explain::unreachable(session, &why)))?;
        let twin = opening.open(&lane).await;
        let twin = twin.map_err(|why| Refused::Channel(reason_of(why)))?;
        Ok((lane, twin))
    }
}

/// Why there is no twin.
enum Refused {
    /// The workspace does not open this channel.
    Channel(ChannelOpenFailure),
    /// The workspace cannot be reached, for this reason.
    Session(String),
}

/// The reason to hand on for `why`.
pub(crate) fn reason_of(why: russh::Error) -> ChannelOpenFailure {
    match why {
        russh::Error::ChannelOpenFailure(reason) => reason,
        _ => ChannelOpenFailure::ConnectFailed,
    }
}
