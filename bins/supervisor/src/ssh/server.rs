use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use russh::keys::PrivateKey;
use russh::server::{Config, run_stream};
use russh::{Disconnect, MethodKind, MethodSet, Preferred, SshId, cipher};
use rustix::net::{Shutdown, shutdown};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::Connection;
use super::settings::SshSettings;
use super::trust::{Rights, Trust};
use super::{LOGIN_WITHIN, MOST_CONNECTIONS, PAUSE, WINDOW_BYTES, host_key};
use crate::socket;
use crate::workspace::Workspace;

/// The SSH server of a workspace, which listens but does not answer yet.
#[derive(Debug)]
pub(crate) struct Ssh {
    listener: UnixListener,
    config: Arc<Config>,
    trust: Arc<Trust>,
}

impl Ssh {
    /// Makes a host key, tells its public half, and listens.
    pub(crate) fn bind(settings: &SshSettings) -> Result<Self> {
        let trust = Trust::new(settings.user_ca()?, settings.authorized_keys()?);
        let key = host_key::make(&settings.host_key_file)?;
        Ok(Self {
            listener: socket::bind(&settings.socket).context("no SSH server")?,
            config: Arc::new(config(key)),
            trust: Arc::new(trust),
        })
    }

    /// Begins to answer.
    pub(crate) fn serve(self, workspace: Arc<Workspace>) -> Serving {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let (over, until) = watch::channel(false);
        let accepting = accept(self, workspace, Arc::clone(&places), until);
        Serving {
            accepting: tokio::spawn(accepting),
            places,
            over,
        }
    }
}

/// An SSH server that answers.
#[derive(Debug)]
pub(crate) struct Serving {
    accepting: JoinHandle<()>,
    places: Arc<Semaphore>,
    over: watch::Sender<bool>,
}

impl Serving {
    /// Takes leave of every client, once it has been sent what there still is for it.
    pub(crate) async fn end(self) {
        self.accepting.abort();
        self.over.send_replace(true);
        let all = u32::try_from(MOST_CONNECTIONS).unwrap_or(u32::MAX);
        let _ = timeout(LEAVE_WITHIN, self.places.acquire_many(all)).await; // who does not read is left
    }
}

/// Most of a second is what the platform grants a session that has to end.
const LEAVE_WITHIN: Duration = Duration::from_millis(300);

async fn accept(
    ssh: Ssh,
    workspace: Arc<Workspace>,
    places: Arc<Semaphore>,
    until: watch::Receiver<bool>,
) {
    loop {
        let Ok((stream, _)) = ssh.listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("{MOST_CONNECTIONS} SSH clients are connected, another is refused");
            continue;
        };
        let (rights, logged_in) = watch::channel(None);
        let trust = Arc::clone(&ssh.trust);
        let connection = Connection::new(Arc::clone(&workspace), trust, rights);
        let (config, until) = (Arc::clone(&ssh.config), until.clone());
        tokio::spawn(async move {
            if let Err(why) = answer(stream, config, connection, logged_in, until).await {
                tracing::debug!(%why, "an SSH connection ended");
            }
            drop(place);
        });
    }
}

async fn answer(
    stream: UnixStream,
    config: Arc<Config>,
    connection: Connection,
    logged_in: watch::Receiver<Option<Rights>>,
    mut until: watch::Receiver<bool>,
) -> Result<(), russh::Error> {
    let second = stream.as_fd().try_clone_to_owned()?;
    let mut session = timeout(LOGIN_WITHIN, run_stream(config, stream, connection))
        .await
        .map_err(|_| russh::Error::ConnectionTimeout)??;
    let handle = session.handle();
    let over = async {
        let _ = until.wait_for(|over| *over).await;
        // Behind everything that has been said on the channels.
        let text = "the workspace has been stopped".to_owned();
        let _ = handle
            .disconnect(Disconnect::ByApplication, text, String::new())
            .await;
    };
    tokio::select! {
        ended = &mut session => return ended,
        () = too_late(logged_in, &second) => return Err(russh::Error::ConnectionTimeout),
        () = over => {}
    }
    session.await
}

/// Ends the connection of a client that has not logged in in time; never ends for one that has.
async fn too_late(mut logged_in: watch::Receiver<Option<Rights>>, stream: &OwnedFd) {
    let waiting = timeout(LOGIN_WITHIN, logged_in.wait_for(Option::is_some));
    if waiting.await.is_ok() {
        std::future::pending::<()>().await;
    }
    let _ = shutdown(stream, Shutdown::Both);
}

/// What differs from the library's defaults, and why.
fn config(key: PrivateKey) -> Config {
    let mut methods = MethodSet::empty();
    methods.push(MethodKind::PublicKey);
    let preferred = Preferred {
        // The fastest first; it is the gateway that chooses.
        cipher: Cow::Borrowed(&[
            cipher::AES_128_GCM,
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
        ]),
        ..Preferred::DEFAULT
    };
    Config {
        server_id: SshId::Standard("SSH-2.0-gitpod".into()), // not which library
        methods,
        // Keys are no secrets that could be guessed faster.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        preferred,
        max_auth_attempts: 6,
        inactivity_timeout: None, // an idle shell is not a dead one
        window_size: WINDOW_BYTES,
        ..Config::default()
    }
}
