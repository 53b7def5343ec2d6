//! What workspaces' SSH servers may do to the gateway and to clients.

use std::sync::{Arc, Weak};

use russh::client::{ChannelOpenHandle, Handler, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, client};

use super::flow::Flow;
use super::pipe::pipe;
use super::session::Session;
use crate::upstream_login::HostKey;

/// Hears what one connection to a workspace says.
#[derive(Debug)]
pub(crate) struct WorkspaceSide {
    /// Weak: the session holds the connection that holds this.
    session: Weak<Session>,
    host_key: HostKey,
    /// Of what the workspace sends.
    flow: Arc<Flow>,
}

impl WorkspaceSide {
    pub(crate) fn new(session: &Arc<Session>, host_key: HostKey, flow: &Arc<Flow>) -> Self {
        Self {
            session: Arc::downgrade(session),
            host_key,
            flow: Arc::clone(flow),
        }
    }

    /// Opens `towards` the client, and joins it with `channel` of the workspace.
    async fn open(&self, channel: Channel<Msg>, towards: Towards, reply: ChannelOpenHandle) {
        let Some(session) = self.session.upgrade() else {
            return reply.reject(ChannelOpenFailure::ConnectFailed).await;
        };
        if !towards.was_asked_for(&session) {
            return reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
        }
        let Some(place) = session.take_channel() else {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        // The server that calls us must go on while the client is asked.
        let flow = Arc::clone(&self.flow);
        session.spawn(async move {
            let session = place.session();
            let Some(login) = session.login() else { return };
            match towards.open(&login.client).await {
                Ok(of_client) => {
                    reply.accept().await;
                    pipe(session, of_client, (channel, flow), None).await;
                }
                Err(why) => reply.reject(why).await,
            }
        });
    }
}

impl Handler for WorkspaceSide {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let HostKey::Pinned(expected) = &self.host_key else {
            return Ok(true);
        };
        let blob = match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.to_bytes().ok(),
            PublicKeyOrCertificate::Certificate(_) => None,
        };
        Ok(blob.is_some_and(|blob| expected.matches(&blob)))
    }

    fn adjust_window(&mut self, channel: ChannelId, target: u32) -> u32 {
        self.flow.next_target(channel, target)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.flow.slow_down(channel, data.len()).await;
        Ok(())
    }

    async fn extended_data(
        &mut self,
        channel: ChannelId,
        _: u32,
        data: &[u8],
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.flow.slow_down(channel, data.len()).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        connected_address: &str,
        connected_port: u32,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let towards = Towards::Port {
            at: (connected_address.to_owned(), connected_port),
            from: (originator_address.to_owned(), originator_port),
        };
        self.open(channel, towards, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let towards = Towards::Socket(socket_path.to_owned());
        self.open(channel, towards, reply).await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.open(channel, Towards::Agent, reply).await;
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<Msg>,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let from = (originator_address.to_owned(), originator_port);
        self.open(channel, Towards::Display { from }, reply).await;
        Ok(())
    }

    // Channels that only clients open. The library would accept them.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }
}

/// A channel from the workspace towards the client.
enum Towards {
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
    fn was_asked_for(&self, session: &Session) -> bool {
        let forwards = &session.forwards;
        match self {
            Self::Port { at: (_, port), .. } => forwards.may_connect(*port),
            Self::Socket(path) => forwards.may_connect_at(path),
            Self::Agent => forwards.may_use_agent(),
            Self::Display { .. } => forwards.may_use_display(),
        }
    }

    async fn open(
        self,
        client: &russh::server::Handle,
    ) -> Result<Channel<russh::server::Msg>, ChannelOpenFailure> {
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

/// The reason to hand on for `why`.
pub(crate) fn reason_of(why: russh::Error) -> ChannelOpenFailure {
    match why {
        russh::Error::ChannelOpenFailure(reason) => reason,
        _ => ChannelOpenFailure::ConnectFailed,
    }
}
