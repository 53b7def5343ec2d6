//! Channels that a workspace opens towards its client.

use std::sync::Arc;

use russh::client::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure, server};

use super::flow::Flow;
use super::forwards::At;
use super::opening::reason_of;
use super::pipe::{ClientEnd, pipe};
use super::session::Session;

/// A channel from the workspace towards the client.
#[derive(Debug)]
pub(crate) enum Towards {
    /// Somebody connected to a port in the workspace.
    Port {
        at: (String, u32),
        from: (String, u32),
    },
    /// Somebody connected to a unix socket in the workspace.
    Socket(String),
    /// A program wants to use the client's agent.
    Agent,
    /// A program wants to use the client's display.
    Display { from: (String, u32) },
}

impl Towards {
    /// Opens its twin at the client, answers, and sends on what comes: a `channel` of the
    /// workspace, whose bytes `flow` counts.
    pub(crate) async fn serve(
        self,
        session: &Arc<Session>,
        (channel, flow): (Channel<Msg>, Arc<Flow>),
        reply: ChannelOpenHandle,
    ) {
        let place = match session.take_channel(self.was_asked_for(session)) {
            Ok(place) => place,
            Err(why) => return reply.reject(why).await,
        };
        // The server that calls us must go on while the client is asked.
        session.spawn(async move {
            let session = place.session();
            let Some(login) = session.login() else { return };
            match self.open(&login.client).await {
                Ok(of_client) => {
                    reply.accept().await;
                    let client = ClientEnd::new(session, of_client);
                    pipe(session, client, (channel, flow), None).await;
                }
                Err(why) => reply.reject(why).await,
            }
        });
    }

    fn was_asked_for(&self, session: &Session) -> bool {
        let forwards = &session.forwards;
        match self {
            Self::Port { at: (_, port), .. } => forwards.may_connect(&At::Port(*port)),
            Self::Socket(path) => forwards.may_connect(&At::Socket(path.clone())),
            Self::Agent => forwards.may_use_agent(),
            Self::Display { .. } => forwards.may_use_display(),
        }
    }

    async fn open(
        self,
        client: &server::Handle,
    ) -> Result<Channel<server::Msg>, ChannelOpenFailure> {
        let opened = match self {
            Self::Port { at, from } => {
                client
                    .channel_open_forwarded_tcpip(at.0, at.1, from.0, from.1)
                    .await
            }
            Self::Socket(path) => client.channel_open_forwarded_streamlocal(path).await,
            Self::Agent => client.channel_open_agent().await,
            Self::Display { from } => client.channel_open_x11(from.0, from.1).await,
        };
        opened.map_err(reason_of)
    }
}
