//! A client and a workspace that are written for tests, where OpenSSH's are too honest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gitpod_sshgw::{
    Authenticated, PrivateKey, Upstream, UpstreamConnector, UpstreamError, UpstreamLogin,
};
use russh::client::{AuthResult, Handle, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::server::{Auth, ChannelOpenHandle, VerifiedPublicKey};
use russh::{Channel, ChannelId, client, server};

use crate::support::Served;

/// Accepts every host key, and counts the channels that are opened towards it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) opened: Arc<AtomicUsize>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        reply.accept().await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        reply.accept().await;
        Ok(())
    }
}

/// Connects to the gateway, and does not log in.
pub(crate) async fn connect(served: &Served) -> (Handle<Client>, Client) {
    let client = Client::default();
    let config = Arc::new(client::Config::default());
    let handle = client::connect(config, served.address, client.clone()).await;
    (handle.unwrap(), client)
}

/// Tries `key` as user `name`.
pub(crate) async fn try_key(
    handle: &mut Handle<Client>,
    name: &str,
    key: &PrivateKey,
) -> AuthResult {
    let key = PrivateKeyWithHashAlg::new(Arc::new(plain(key)), None);
    handle.authenticate_publickey(name, key).await.unwrap()
}

/// The key as the library has it.
pub(crate) fn plain(key: &PrivateKey) -> russh::keys::PrivateKey {
    decode_secret_key(&key.to_openssh().unwrap(), None).unwrap()
}

/// Logged in as the owner of the workspace.
pub(crate) async fn logged_in(served: &Served) -> (Handle<Client>, Client) {
    let (mut handle, client) = connect(served).await;
    let result = try_key(&mut handle, crate::support::ID, &served.key).await;
    assert!(result.success(), "{result:?}");
    (handle, client)
}

/// A workspace that opens what nobody asked for, as soon as a program is started.
#[derive(Clone, Debug)]
pub(crate) struct Hostile {
    host_key: PrivateKey,
    login_key: PrivateKey,
    /// What became of its attempts.
    pub(crate) attempts: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

impl Hostile {
    pub(crate) fn new() -> Self {
        Self {
            host_key: PrivateKey::generate().unwrap(),
            login_key: PrivateKey::generate().unwrap(),
            attempts: Arc::default(),
        }
    }
}

#[async_trait]
impl UpstreamConnector for Hostile {
    async fn connect(&self, _: &Authenticated) -> Result<Upstream, UpstreamError> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let config = server::Config {
            keys: vec![plain(&self.host_key)],
            ..server::Config::default()
        };
        let side = HostileSide(self.clone());
        tokio::spawn(async move {
            let running = server::run_stream(Arc::new(config), theirs, side).await;
            drop(running.unwrap().await);
        });
        let host_key = self.host_key.public_key().clone();
        let login = UpstreamLogin::new("gitpod", self.login_key.clone(), host_key);
        Ok(Upstream::new(ours, login))
    }
}

struct HostileSide(Hostile);

impl server::Handler for HostileSide {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<server::Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.channel_success(channel)?; // and once more, unasked
        let (client, attempts) = (session.handle(), Arc::clone(&self.0.attempts));
        tokio::spawn(async move {
            let port = client.channel_open_forwarded_tcpip("127.0.0.1", 22, "127.0.0.1", 1);
            let port = ("port", port.await.is_ok());
            let socket = client.channel_open_forwarded_streamlocal("/tmp/x").await;
            let agent = client.channel_open_agent().await;
            let display = client.channel_open_x11("127.0.0.1", 1).await;
            let shell = client.channel_open_session().await;
            let dial = client.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1);
            let dial = ("dial", dial.await.is_ok());
            *attempts.lock().unwrap() = vec![
                port,
                ("socket", socket.is_ok()),
                ("agent", agent.is_ok()),
                ("display", display.is_ok()),
                ("shell", shell.is_ok()),
                dial,
            ];
            let _ = client.exit_status_request(channel, 0).await;
            let _ = client.close(channel).await;
        });
        Ok(())
    }
}
