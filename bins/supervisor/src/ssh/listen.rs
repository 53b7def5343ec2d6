use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitpod_lifecycle::process::listen_privately;
use russh::server::Handle;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::MOST_LISTENERS;
use super::flow::Flow;
use super::socket::Socket;
use super::stream::carry;

/// What listens in the workspace for one client, and leads each connection to it. All of it ends with this.
#[derive(Debug)]
pub(super) struct Listeners {
    handle: Handle,
    flow: Arc<Flow>,
    places: Arc<Semaphore>,
    listening: HashMap<Asked, Listening>,
}

/// What the client has asked for, in its words.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Asked {
    Tcp(String, u16),
    Unix(String),
    Agent,
}

#[derive(Debug)]
struct Listening {
    tasks: Vec<AbortHandle>,
    file: Option<PathBuf>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Listeners {
    pub(super) fn new(handle: Handle, flow: Arc<Flow>, places: Arc<Semaphore>) -> Self {
        Self {
            handle,
            flow,
            places,
            listening: HashMap::new(),
        }
    }

    /// Listens on a port of loopback, whatever address is asked for: what is to be reached from elsewhere is reached through the
    /// proxy. `port` 0 is any; answers which.
    pub(super) async fn tcp(&mut self, address: &str, port: u16) -> io::Result<u16> {
        if !is_loopback_or_any(address) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        self.refuse_too_many()?;
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = first.local_addr()?.port();
        // Where there is no IPv6, or somebody else has it, that has to do.
        let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        let asked = Asked::Tcp(address.to_owned(), port);
        let tasks = [Some(first), second].into_iter().flatten();
        let tasks = tasks.map(|listener| {
            let to_client = self.to_client(asked.clone());
            tokio::spawn(async move {
                loop {
                    let Ok((stream, peer)) = listener.accept().await else {
                        to_client.pause().await;
                        continue;
                    };
                    let from = (peer.ip().to_string(), u32::from(peer.port()));
                    to_client.lead(Socket::Tcp(stream), from);
                }
            })
            .abort_handle()
        });
        let tasks = tasks.collect();
        self.listening
            .insert(asked, Listening { tasks, file: None });
        Ok(port)
    }

    /// Listens at `path`, where nothing may be yet.
    pub(super) fn unix(&mut self, asked: Asked, path: &Path) -> io::Result<()> {
        self.refuse_too_many()?;
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let listener = UnixListener::from_std(listen_privately(path)?)?;
        let to_client = self.to_client(asked.clone());
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => to_client.lead(Socket::Unix(stream), (String::new(), 0)),
                    Err(_) => to_client.pause().await,
                }
            }
        });
        let listening = Listening {
            tasks: vec![task.abort_handle()],
            file: Some(path.to_owned()),
        };
        self.listening.insert(asked, listening);
        Ok(())
    }

    /// Whether something listened that now does not.
    pub(super) fn cancel(&mut self, asked: &Asked) -> bool {
        self.listening.remove(asked).is_some()
    }

    fn refuse_too_many(&self) -> io::Result<()> {
        match self.listening.len() < MOST_LISTENERS {
            true => Ok(()),
            false => Err(io::ErrorKind::QuotaExceeded.into()),
        }
    }

    fn to_client(&self, asked: Asked) -> ToClient {
        ToClient {
            handle: self.handle.clone(),
            flow: Arc::clone(&self.flow),
            places: Arc::clone(&self.places),
            asked,
        }
    }
}

/// Leads connections to the client that has asked for them.
#[derive(Clone, Debug)]
struct ToClient {
    handle: Handle,
    flow: Arc<Flow>,
    places: Arc<Semaphore>,
    asked: Asked,
}

impl ToClient {
    /// Opens a channel for `socket`, which is closed if there is no place for another or the client does not want it.
    fn lead(&self, socket: Socket, from: (String, u32)) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!("an SSH client has too many channels, a connection to it is closed");
            return;
        };
        let this = self.clone();
        tokio::spawn(async move {
            let handle = &this.handle;
            let channel = match &this.asked {
                Asked::Tcp(address, port) => {
                    let to = (address.clone(), u32::from(*port));
                    handle
                        .channel_open_forwarded_tcpip(to.0, to.1, from.0, from.1)
                        .await
                }
                Asked::Unix(path) => {
                    handle
                        .channel_open_forwarded_streamlocal(path.clone())
                        .await
                }
                Asked::Agent => handle.channel_open_agent().await,
            };
            if let Ok(channel) = channel {
                carry(channel, socket, &this.flow).await;
            }
            drop(place);
        });
    }

    /// Out of files: others must end first.
    async fn pause(&self) {
        tokio::time::sleep(super::PAUSE).await;
    }
}

fn is_loopback_or_any(address: &str) -> bool {
    let known = ["", "*", "localhost", "0.0.0.0", "::", "127.0.0.1", "::1"];
    known.contains(&address)
}
