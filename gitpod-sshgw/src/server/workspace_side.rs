//! What workspaces' SSH servers may do to the gateway and to clients.

use std::sync::{Arc, Weak};

use russh::client::{ChannelOpenHandle, Handler, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, client};

use super::flow::Flow;
use super::session::Session;
use super::towards::Towards;
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
        let channel = (channel, Arc::clone(&self.flow));
        Box::pin(towards.serve(&session, channel, reply)).await;
    }
}

/// Refuses a channel that only clients open. The library would accept it.
async fn refuse(reply: ChannelOpenHandle) -> Result<(), russh::Error> {
    let reason = ChannelOpenFailure::AdministrativelyProhibited;
    reply.reject(reason).await;
    Ok(())
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

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
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
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }
}
