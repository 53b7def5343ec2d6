//! Connections to servers of local workspaces, and to nobody else's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::{
    ConnectError, Connection, Connector, DialTarget, InstanceId, WorkspaceService,
};
use tokio::net::{TcpStream, UnixStream};
use tracing::warn;

use super::cluster::ProcessCluster;
use super::layout::Layout;
use super::listeners::{Socket, SocketState};
use super::look::{Look, Looks};
use super::network::Network;
use super::runner_file::RunnerFile;
use super::socket;
use super::tree::ProcessId;

/// A [`Connector`] to the workspaces of a [`ProcessCluster`].
///
/// | service | where |
/// |---|---|
/// | supervisor, or IDE where none runs | the supervisor's socket |
/// | IDE | the port that the supervisor names |
/// | port | a loopback address on which this workspace, and nobody else, listens |
///
/// Local workspaces may share the machine's network, where a port says nothing about
/// whose it is. A connection is made only if every listener that could answer it
/// belongs to the workspace, and is handed out only if that is still so and its
/// other end belongs to the workspace too. Not before that is a byte sent.
///
/// A workspace in a network of its own is different: nobody else can listen there,
/// and nobody from here can connect. Its supervisor, found by the same check of who
/// is at the other end, makes the connection and carries it through its socket.
#[derive(Clone, Debug)]
pub struct LocalConnector {
    runners: Runners,
    looks: Arc<Looks>,
}

/// Where it is known which process is the supervisor of an instance.
#[derive(Clone, Debug)]
enum Runners {
    /// In this process.
    Of(ProcessCluster),
    /// In the files of another one.
    In(Layout),
}

impl Runners {
    fn supervisor(&self, instance: &InstanceId) -> Option<ProcessId> {
        match self {
            Self::Of(cluster) => cluster.supervisor(instance),
            Self::In(layout) => {
                let file = RunnerFile::load(&layout.instance(instance))?;
                file.process.filter(|_| file.ended.is_none())
            }
        }
    }

    fn network(&self, instance: &InstanceId) -> Option<Network> {
        match self {
            Self::Of(cluster) => cluster.network(instance),
            Self::In(layout) => {
                let file = RunnerFile::load(&layout.instance(instance))?;
                file.process.map(|_| file.network)
            }
        }
    }

    fn socket(&self, instance: &InstanceId) -> PathBuf {
        match self {
            Self::Of(cluster) => cluster.settings().layout.socket(instance),
            Self::In(layout) => layout.socket(instance),
        }
    }
}

impl LocalConnector {
    /// Connects to the workspaces of `cluster`.
    #[must_use]
    pub fn new(cluster: ProcessCluster) -> Self {
        Self {
            runners: Runners::Of(cluster),
            looks: Arc::default(),
        }
    }

    /// Connects to workspaces that another process of this user runs below `layout`. Its
    /// files are only read, once for each connection.
    #[must_use]
    pub fn beside(layout: Layout) -> Self {
        Self {
            runners: Runners::In(layout),
            looks: Arc::default(),
        }
    }

    async fn to_supervisor(
        &self,
        target: &DialTarget,
        supervisor: ProcessId,
    ) -> Result<UnixStream, ConnectError> {
        let path = self.runners.socket(&target.info.instance);
        let stream = socket::connect(&path).await.map_err(unreachable)?;
        let peer = stream.peer_cred().map_err(unreachable)?.pid();
        let peer = peer
            .and_then(|pid| u32::try_from(pid).ok())
            .and_then(ProcessId::of);
        match peer {
            Some(peer) if peer == supervisor || peer.is_within(supervisor) => Ok(stream),
            _ => Err(ConnectError::Refused(
                "the supervisor's socket belongs to somebody else",
            )),
        }
    }

    async fn to_ide(
        &self,
        target: &DialTarget,
        supervisor: ProcessId,
    ) -> Result<Connection, ConnectError> {
        let path = self.runners.socket(&target.info.instance);
        let status = socket::ask(&path, "/_supervisor/v1/status/ide")
            .await
            .map_err(unreachable)?;
        let port = status
            .get("port")
            .and_then(|port| u16::try_from(port.as_u64()?).ok());
        Ok(match port {
            Some(port) => self.to_port(target, port, supervisor).await?,
            None => Box::new(self.to_supervisor(target, supervisor).await?),
        })
    }

    async fn to_port(
        &self,
        target: &DialTarget,
        port: u16,
        supervisor: ProcessId,
    ) -> Result<Connection, ConnectError> {
        if self.runners.network(&target.info.instance) != Some(Network::Own) {
            return Ok(Box::new(self.to_shared_port(port, supervisor).await?));
        }
        let stream = self.to_supervisor(target, supervisor).await?;
        match socket::tunnel(stream, port).await.map_err(unreachable)? {
            Some(tunnel) => Ok(Box::new(tunnel)),
            None => Err(ConnectError::NotListening),
        }
    }

    async fn to_shared_port(
        &self,
        port: u16,
        supervisor: ProcessId,
    ) -> Result<TcpStream, ConnectError> {
        let mut last = ConnectError::NotListening;
        for _ in 0..ATTEMPTS {
            match self.try_port(port, supervisor).await? {
                (Some(stream), Answers::Workspace) => return Ok(stream),
                (None, _) => return Err(ConnectError::NotListening),
                (Some(_), Answers::SomebodyElse) => last = ConnectError::NotListening,
                (Some(_), Answers::Nobody) => {
                    last = unreachable(io::ErrorKind::ConnectionReset.into())
                }
            }
        }
        warn!(port, %last, "port of a workspace cannot be told from another one's");
        Err(last)
    }

    /// Connects once, and tells who answers.
    async fn try_port(
        &self,
        port: u16,
        supervisor: ProcessId,
    ) -> Result<(Option<TcpStream>, Answers), ConnectError> {
        for address in self.allowed(port, supervisor).await? {
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(why) => return Err(unreachable(why)),
            };
            let ours = stream.local_addr().map_err(unreachable)?;
            let answers = self
                .look(move |look| who_answers(look, ours, address, supervisor))
                .await?;
            let _ = stream.set_nodelay(true);
            return Ok((Some(stream), answers));
        }
        Ok((None, Answers::Nobody))
    }

    /// Addresses at which only this workspace can answer.
    async fn allowed(
        &self,
        port: u16,
        supervisor: ProcessId,
    ) -> Result<Vec<SocketAddr>, ConnectError> {
        self.look(move |look| {
            let candidates = addresses(&look.sockets, port);
            candidates
                .into_iter()
                .filter(|address| only_within(look, *address, supervisor))
                .collect()
        })
        .await
    }

    async fn look<T: Send + 'static>(
        &self,
        judge: impl FnOnce(&Look<'_>) -> T + Send + 'static,
    ) -> Result<T, ConnectError> {
        let judged = self.looks.ask(judge).await;
        judged.ok_or_else(|| unreachable(io::Error::other("sockets cannot be looked at")))
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answers {
    Workspace,
    SomebodyElse,
    /// It was closed at once: whoever that was cannot be told any more.
    Nobody,
}

/// Listeners come and go; who meets a stranger every time is not to be served.
const ATTEMPTS: u32 = 5;

fn who_answers(look: &Look<'_>, ours: SocketAddr, theirs: SocketAddr, root: ProcessId) -> Answers {
    let peer = look
        .sockets
        .iter()
        .find(|socket| socket.is_peer_of(ours, theirs));
    let belongs = match peer {
        Some(peer) if peer.state != SocketState::Connected => return Answers::Nobody,
        None => return Answers::Nobody,
        // Nobody has accepted it yet: it waits at one of the listeners.
        Some(peer) if peer.inode == 0 => only_within(look, theirs, root),
        Some(peer) => look.all_within(&[peer.inode], root),
    };
    match belongs {
        true => Answers::Workspace,
        false => Answers::SomebodyElse,
    }
}

/// Where something may listen on `port`: the loopback addresses, then others of
/// this machine that a listener names.
fn addresses(sockets: &[Socket], port: u16) -> Vec<SocketAddr> {
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let mut found: Vec<_> = loopback.map(|ip| SocketAddr::new(ip, port)).into();
    let listening = sockets
        .iter()
        .filter(|socket| socket.state == SocketState::Listening);
    for local in listening
        .map(|socket| socket.local)
        .filter(|local| local.port() == port)
    {
        let address = SocketAddr::new(local.ip().to_canonical(), port);
        if address.ip().is_loopback() && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// Whether something answers at `address`, and all that could belongs to `root`.
fn only_within(look: &Look<'_>, address: SocketAddr, root: ProcessId) -> bool {
    let listeners: Vec<_> = look
        .sockets
        .iter()
        .filter(|socket| socket.could_answer(address))
        .map(|socket| socket.inode)
        .collect();
    !listeners.is_empty() && look.all_within(&listeners, root)
}

fn unreachable(why: io::Error) -> ConnectError {
    ConnectError::Unreachable(why.into())
}

#[async_trait]
impl Connector for LocalConnector {
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError> {
        let Some(supervisor) = self.runners.supervisor(&target.info.instance) else {
            return Err(ConnectError::NotListening);
        };
        if target.debug {
            return Err(ConnectError::NotListening); // there are no debug workspaces here
        }
        Ok(match target.service {
            WorkspaceService::Supervisor => Box::new(self.to_supervisor(target, supervisor).await?),
            WorkspaceService::Ide => self.to_ide(target, supervisor).await?,
            WorkspaceService::Port(port) => self.to_port(target, port, supervisor).await?,
            _ => return Err(ConnectError::NotListening),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_tried_first_and_addresses_of_the_outside_never() {
        let listener = |local: &str| Socket {
            local: local.parse().unwrap(),
            remote: "0.0.0.0:0".parse().unwrap(),
            state: SocketState::Listening,
            inode: 1,
        };
        let sockets = [
            "127.0.0.7:80",
            "192.168.0.5:80",
            "0.0.0.0:80",
            "127.0.0.8:81",
        ]
        .map(listener);
        let found: Vec<_> = addresses(&sockets, 80)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["127.0.0.1:80", "[::1]:80", "127.0.0.7:80"]);
    }
}
