//! The way to a workspace's own SSH server.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use gitpod_routing::{BoxError, WorkspaceId, WorkspaceInfo};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

use crate::authenticate::Authenticated;
use crate::code::ErrorCode;
use crate::login::SessionTarget;
use crate::upstream_login::UpstreamLogin;

/// Opens connections to workspaces' own SSH servers.
///
/// A gateway calls it once for each client that was let in. Implement this where
/// workspaces are reached in your own way: through an overlay network, a socket,
/// a virtual machine's console. [`MemoryUpstream`] needs no network.
///
/// # Contract
///
/// - `Ok`: a connection of its own, on which the server of *that* workspace, and of
///   that run of it, speaks first; and how to log in there.
/// - `Err`: there is none. The client is told that its workspace cannot be reached.
/// - Where to connect comes from [`Authenticated`] alone, never from the client.
///   [`sshd_address`] is the place where the reference system's servers listen.
///
/// An answer within 5 s is expected; callers drop the future after that, and
/// nothing may be left open then. Dropping the connection closes it.
///
/// It takes a proof that somebody was let in:
///
/// ```
/// # use gitpod_sshgw::*;
/// async fn enter(gate: Authenticate, connector: &dyn UpstreamConnector) -> Option<Upstream> {
///     let accepted = gate.attempt("pink-panda-ns35kd21", Credential::Password(b"?")).await;
///     let Ok(Accepted::LoggedIn(proof)) = accepted else { return None };
///     connector.connect(&proof).await.ok()
/// }
/// ```
///
/// A key that was only offered is none:
///
/// ```compile_fail,E0308
/// # use gitpod_sshgw::*;
/// async fn enter(gate: Authenticate, connector: &dyn UpstreamConnector) -> Option<Upstream> {
///     let accepted = gate.attempt("pink-panda-ns35kd21", Credential::Password(b"?")).await;
///     let Ok(proof) = accepted else { return None };
///     connector.connect(&proof).await.ok()
/// }
/// ```
///
/// # Source
///
/// Chosen by us; ports as in the reference system.
#[async_trait]
pub trait UpstreamConnector: fmt::Debug + Send + Sync + 'static {
    /// A new connection to the SSH server of the workspace that was logged in to.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`] if there is none; see the contract.
    async fn connect(&self, to: &Authenticated) -> Result<Upstream, UpstreamError>;
}

/// A connection to a workspace's SSH server, and how to log in there.
pub struct Upstream {
    stream: Box<dyn ByteStream>,
    login: UpstreamLogin,
    holds: bool,
}

impl Upstream {
    /// The server at the other end of `stream` takes `login`.
    #[must_use]
    pub fn new(stream: impl ByteStream + 'static, login: UpstreamLogin) -> Self {
        Self {
            stream: Box::new(stream),
            login,
            holds: false,
        }
    }

    /// The server says no more in a channel when it is sent the signal [`HOLD`](Self::HOLD)
    /// there, until it is sent [`GO`](Self::GO).
    ///
    /// The library opens windows towards the workspace again as soon as bytes arrive. Where
    /// the server has this, a client that reads slowly halts its own channel only, at some
    /// hundred kilobytes; where it has not, some megabytes are held, then all channels of the
    /// connection wait, and after 10 s without a byte the slow one is closed.
    #[must_use]
    pub fn with_holds(mut self) -> Self {
        self.holds = true;
        self
    }

    /// Name of the signal after which a server says no more in a channel.
    pub const HOLD: &'static str = "HOLD@gitpod.io";
    /// Name of the signal after which it goes on.
    pub const GO: &'static str = "GO@gitpod.io";

    pub(crate) const fn has_holds(&self) -> bool {
        self.holds
    }

    /// The connection, and how to log in.
    #[must_use]
    pub fn into_parts(self) -> (Box<dyn ByteStream>, UpstreamLogin) {
        (self.stream, self.login)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Bytes in both directions, of whatever kind.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Where the SSH server of a workspace listens, once it has an address.
#[must_use]
pub fn sshd_address(info: &WorkspaceInfo, target: SessionTarget) -> Option<SocketAddr> {
    let port = match target {
        SessionTarget::Workspace => 23001,
        SessionTarget::Debug => 25001,
    };
    info.address.map(|address| SocketAddr::new(address, port))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The workspace has no address, or no SSH server.
    #[error("workspace has no ssh server")]
    Absent,
    /// The server did not take the connection.
    #[error("ssh server of the workspace was not reached")]
    Unreachable(#[source] BoxError),
    /// The server did not answer in time.
    #[error("ssh server of the workspace did not answer in time")]
    TimedOut,
    /// There is nothing to log in with, such as a certificate.
    #[error("nothing to log in to the workspace with")]
    NoCredential(#[source] BoxError),
}

impl UpstreamError {
    /// What a gateway counts it as.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Absent | Self::Unreachable(_) | Self::TimedOut => ErrorCode::ConnectFailed,
            Self::NoCredential(_) => ErrorCode::CreateKeyFailed,
        }
    }
}

/// An [`UpstreamConnector`] without a network: you are the server.
#[derive(Debug)]
pub struct MemoryUpstream {
    login: UpstreamLogin,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serving: HashSet<WorkspaceId>,
    waiting: VecDeque<(WorkspaceId, DuplexStream)>,
}

impl MemoryUpstream {
    /// With no servers. Those to come take `login`.
    #[must_use]
    pub fn new(login: UpstreamLogin) -> Self {
        Self {
            login,
            state: Mutex::default(),
        }
    }

    /// Workspace `id` has a server from now on.
    pub fn serve(&self, id: WorkspaceId) {
        self.with(|state| state.serving.insert(id));
    }

    /// The server's end of the oldest connection not yet accepted, and whose it is.
    pub fn accept(&self) -> Option<(WorkspaceId, DuplexStream)> {
        self.with(|state| state.waiting.pop_front())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut state)
    }
}

#[async_trait]
impl UpstreamConnector for MemoryUpstream {
    async fn connect(&self, to: &Authenticated) -> Result<Upstream, UpstreamError> {
        let id = &to.info().id;
        self.with(|state| {
            if !state.serving.contains(id) {
                return Err(UpstreamError::Absent);
            }
            let (ours, theirs) = tokio::io::duplex(BUFFER);
            state.waiting.push_back((id.clone(), theirs));
            Ok(Upstream::new(ours, self.login.clone()))
        })
    }
}

/// Bytes under way in one direction: two of the largest SSH packets.
const BUFFER: usize = 64 * 1024;
