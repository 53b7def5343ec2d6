//! How a workspace is reached.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
#[cfg(target_os = "linux")]
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::info::{BoxError, Protocol, WorkspaceInfo};
use crate::service::WorkspaceService;
use crate::stage::Permit;

/// Opens connections to the servers of a workspace.
///
/// Called when no idle connection is at hand, at most once per request and twice when an
/// idle one turned out to be closed. Implement this for runners that are not reached by
/// TCP; [`DirectConnector`] dials pod addresses.
///
/// # Contract
///
/// - The connection leads to a server of *that run of that workspace*, or none is given.
///   Whoever implements this is the last to check.
/// - [`ConnectError::NotListening`]: it is certain that nothing listens there. Clients
///   are told how to open the port.
/// - Any other error: clients are told that the server does not answer. Nothing is cached.
///
/// The future may be dropped at any await point; it is when the client goes away, and
/// after [`Forward`](crate::forward::Forward)'s connect timeout.
///
/// # Source
///
/// Chosen by us; the targets are those of the reference proxy.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Connects to `target`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; see the contract.
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError>;
}

/// A connection to a server in a workspace.
pub type Connection = Box<dyn Io>;

/// What bytes go in and out of.
///
/// A `TcpStream` that is given as it is can be told from other streams, and what goes through it
/// after an upgrade need not be copied; see [`Forward`](crate::forward::Forward).
pub trait Io: AsyncRead + AsyncWrite + Any + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Any + Send + Unpin> Io for T {}

/// What to connect to. Made from a [`Permit`], never from a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DialTarget {
    /// The workspace, as it was when the request was allowed.
    pub info: Arc<WorkspaceInfo>,
    /// Which server in it.
    pub service: WorkspaceService,
    /// Whether the server of the nested debug workspace is meant.
    pub debug: bool,
}

impl DialTarget {
    /// Server `service` of workspace `info`.
    #[must_use]
    pub fn new(info: Arc<WorkspaceInfo>, service: WorkspaceService) -> Self {
        Self {
            info,
            service,
            debug: false,
        }
    }

    /// The same in the nested debug workspace.
    #[must_use]
    pub fn in_debug_workspace(mut self) -> Self {
        self.debug = true;
        self
    }

    pub(crate) fn of(permit: &Permit) -> Self {
        Self {
            info: Arc::clone(permit.info()),
            service: permit.service(),
            debug: permit.target().debug,
        }
    }

    /// What the server speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.service {
            // The proxy inside a debug workspace speaks HTTP whatever the port does.
            WorkspaceService::Port(number) if !self.debug => self
                .info
                .port(number)
                .map_or(Protocol::Http, |port| port.protocol),
            _ => Protocol::Http,
        }
    }
}

/// Why there is no connection.
///
/// `Display` names no address; the cause is in [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing of this workspace listens there.
    #[error("nothing listens there")]
    NotListening,
    /// The server could not be reached.
    #[error("server could not be reached")]
    Unreachable(#[source] BoxError),
    /// The target may not be dialled. Says which rule forbids it.
    #[error("target may not be dialled: {0}")]
    Refused(&'static str),
    /// The server did not answer in time.
    #[error("server did not answer in time")]
    TimedOut,
}

/// Connects by TCP to the address of the workspace's pod, at fixed ports.
///
/// Loopback, unspecified, link-local and multicast addresses are refused, so that no
/// record can lead to the proxy's own host or to a cloud's metadata service; and user
/// ports that belong to the platform, so that they are reached by their own routes only.
///
/// # Addresses that are used again
///
/// TCP does not tell who answers. What this type can keep of the [contract](Connector#contract), it keeps: it dials
/// the address in the record of that very run and nothing else, connections are pooled for one run at one address, and
/// what is open ends once the provider knows that the run has stopped or moved. The rest is up to the
/// **provider, which has to guarantee one of two things**:
///
/// - a record names an address only as long as it belongs to that run: it is gone from the record *before* the
///   platform gives it to another workspace; or
/// - the platform gives no address away within the longest time that the provider may be out of date, lost
///   connections to its source included.
///
/// Kubernetes by itself promises neither. A provider that goes on with what it knew while its source is out of reach
/// needs the second one, or has to say [`ProviderError::Unreachable`](crate::ProviderError::Unreachable) in time. Where neither can be had,
/// write a [`Connector`] that asks who is there before it gives the connection, as those for local processes do;
/// `simulation/` of the repository shows what happens without: answers of another workspace.
#[derive(Clone, Debug)]
pub struct DirectConnector {
    ports: PodPorts,
    loopback: Loopback,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Loopback {
    Refused,
    Allowed,
}

impl DirectConnector {
    /// With the ports of the reference.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ports: PodPorts::new(),
            loopback: Loopback::Refused,
        }
    }

    /// With other ports.
    #[must_use]
    pub fn with_ports(mut self, ports: PodPorts) -> Self {
        self.ports = ports;
        self
    }

    /// Also dials loopback addresses. For tests, and for runners on the proxy's own host
    /// that share its network: every server on this host becomes reachable through a
    /// record that names it.
    #[must_use]
    pub fn with_loopback_allowed(mut self) -> Self {
        self.loopback = Loopback::Allowed;
        self
    }

    fn address(&self, target: &DialTarget) -> Result<SocketAddr, ConnectError> {
        let ip = target
            .info
            .address
            .ok_or(ConnectError::Refused("workspace has no address"))?
            .to_canonical();
        let ip_v4 = embedded(ip);
        if !self.may_dial(ip) || ip_v4.is_some_and(|ip| !self.may_dial(ip.into())) {
            return Err(ConnectError::Refused("address is not one of a pod"));
        }
        let port = self.ports.of(target.service, target.debug);
        port.map(|port| SocketAddr::new(ip, port))
            .ok_or(ConnectError::NotListening)
    }

    fn may_dial(&self, ip: IpAddr) -> bool {
        let link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let loopback = ip.is_loopback() && self.loopback == Loopback::Refused;
        !(loopback || link_local || ip.is_unspecified() || ip.is_multicast())
    }
}

/// The address that a translator, or an old kind of tunnel, makes of `ip`.
///
/// **Source:** RFC 6052, section 2.1; RFC 4291, section 2.5.5.1.
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
            let bits = (u32::from(high) << 16) | u32::from(low);
            Some(Ipv4Addr::from_bits(bits))
        }
        _ => None,
    }
}

impl Default for DirectConnector {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Connector for DirectConnector {
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError> {
        let address = self.address(target)?;
        let dial = timeout(DIAL_TIMEOUT, TcpStream::connect(address));
        let stream = dial
            .await
            .map_err(|_| ConnectError::TimedOut)?
            .map_err(dial_error)?;
        stream.set_nodelay(true).map_err(dial_error)?;
        #[cfg(target_os = "linux")]
        notice_silence(&stream).map_err(dial_error)?;
        Ok(Box::new(stream))
    }
}

/// Has a connection end within a minute or so of its other side vanishing: else a request
/// would wait for ever for a machine that is no more.
#[cfg(target_os = "linux")]
fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, ASK_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, ASK_AGAIN)?;
    let longest = u32::try_from(UNANSWERED.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, longest)?;
    Ok(())
}

fn dial_error(why: io::Error) -> ConnectError {
    match why.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::NotListening,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        _ => ConnectError::Unreachable(why.into()),
    }
}

/// Where the platform's servers listen in a pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PodPorts {
    /// The editor.
    pub ide: u16,
    /// The editor of the debug workspace.
    pub ide_debug: u16,
    /// The supervisor.
    pub supervisor: u16,
    /// The supervisor of the debug workspace.
    pub supervisor_debug: u16,
    /// The proxy that reaches user ports of the debug workspace.
    pub debug_proxy: u16,
}

impl PodPorts {
    /// **Source:** deployment of the reference.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ide: 23_000,
            ide_debug: 25_000,
            supervisor: 22_999,
            supervisor_debug: 24_999,
            debug_proxy: 25_003,
        }
    }

    fn of(&self, service: WorkspaceService, debug: bool) -> Option<u16> {
        match (service, debug) {
            (WorkspaceService::Ide, false) => Some(self.ide),
            (WorkspaceService::Ide, true) => Some(self.ide_debug),
            (WorkspaceService::Supervisor, false) => Some(self.supervisor),
            (WorkspaceService::Supervisor, true) => Some(self.supervisor_debug),
            (WorkspaceService::Port(0), _) => None,
            (WorkspaceService::Port(_), true) => Some(self.debug_proxy),
            (WorkspaceService::Port(port), false) => (!self.is_reserved(port)).then_some(port),
        }
    }

    fn is_reserved(&self, port: u16) -> bool {
        port == self.supervisor || port == self.supervisor_debug || port == self.debug_proxy
    }
}

impl Default for PodPorts {
    fn default() -> Self {
        Self::new()
    }
}

/// How long nothing may come before the other side is asked whether it is there; as the
/// reference.
#[cfg(target_os = "linux")]
const ASK_AFTER: Duration = Duration::from_secs(30);
#[cfg(target_os = "linux")]
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// How long it may not answer, or not take what was sent. Chosen by us.
#[cfg(target_os = "linux")]
const UNANSWERED: Duration = Duration::from_secs(60);

/// Chosen by the deployment of the reference.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn other_side_is_asked_whether_it_is_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let id = "pink-panda-ns35kd21".parse().unwrap();
        let token = crate::secret::OwnerToken::new("t");
        let info = WorkspaceInfo::new(id, "i-1".parse().unwrap(), token);
        let info = info.running_at([127, 0, 0, 1].into());
        let target = DialTarget::new(Arc::new(info), WorkspaceService::Port(port));
        let connector = DirectConnector::new().with_loopback_allowed();
        let connection: Box<dyn Any> = connector.connect(&target).await.unwrap();
        let stream = connection.downcast::<TcpStream>().unwrap();
        assert!(sockopt::socket_keepalive(&*stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&*stream).unwrap(), ASK_AFTER);
        assert_eq!(sockopt::tcp_user_timeout(&*stream).unwrap(), 60_000);
    }
}
