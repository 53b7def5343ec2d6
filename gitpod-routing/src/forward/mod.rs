//! Last stage: from a [`Permit`] to a response.
//!
//! ```text
//! Routed<Permit> ─▶ headers ─▶ pool ─ hit ──▶ connection ─▶ response
//!                                 └─ miss ─▶ Connector ─┘      │ 101: tunnel
//! ```

mod body;
mod connect;
mod continuing;
mod exchange;
mod frames;
mod headers;
mod heard;
mod pool;
mod secure;
mod side;
mod spelling;
#[cfg(target_os = "linux")]
mod splice;
mod tunnel;
mod upgrade;
mod upgrades;
mod usage;
mod watch;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::{HeaderValue, Response};
use http_body::Body;
use tower_service::Service;

pub use self::body::ForwardBody;
pub use self::connect::{
    ConnectError, Connection, Connector, DialTarget, DirectConnector, Io, PodPorts,
};
use self::headers::{ForwardedStyle, HeaderPolicy, SupervisorCookies};
use self::pool::Pool;
pub use self::secure::TlsClient;
pub use self::upgrade::relay;
use self::upgrades::Upgrades;
use crate::access::CookieNames;
use crate::host::Scheme;
use crate::info::BoxError;
use crate::revocation::Revocation;
use crate::stage::{Permit, Routed};

/// Sends permitted requests to workspaces, and brings their answers back.
///
/// HTTP/1.1 and HTTP/2 in, HTTP/1.1 to the workspace. Bodies, trailers and events stream
/// both ways; an upgrade becomes a tunnel once the server has agreed to it. Needs a tokio
/// runtime. Clones share one pool of connections.
///
/// A server that does not answer is answered for with
/// [`Refusal::NotListening`](crate::Refusal::NotListening) or
/// [`Refusal::Unreachable`](crate::Refusal::Unreachable). Credentials of the installation stay here: the owner token's
/// header and cookies, session cookies, and everything called `x-gitpod-…`.
#[derive(Clone)]
pub struct Forward(Arc<Shared>);

pub(crate) struct Shared {
    connector: Arc<dyn Connector>,
    tls: Option<Arc<dyn TlsClient>>,
    headers: HeaderPolicy,
    pool: Pool,
    limits: Limits,
    upgrades: Upgrades,
    revocation: Option<Revocation>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    connect: Duration,
    body_idle: Duration,
}

impl Forward {
    /// Forwards over connections of `connector`, and keeps back what `cookies` names.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>, cookies: CookieNames) -> Self {
        Self::from_options(ForwardOptions::new(cookies), connector)
    }

    /// Forwards as `options` say.
    #[must_use]
    pub fn from_options(options: ForwardOptions, connector: Arc<dyn Connector>) -> Self {
        let ForwardOptions {
            cookies,
            public,
            told_address: _,
            style,
            supervisor_cookies,
            idle_timeout,
            max_idle,
            connect,
            body_idle,
            max_upgrades,
            tls,
            revocation,
        } = options;
        Self(Arc::new(Shared {
            connector,
            tls,
            headers: HeaderPolicy {
                cookies,
                public,
                style,
                supervisor_cookies,
            },
            pool: Pool::new(idle_timeout, max_idle),
            limits: Limits { connect, body_idle },
            upgrades: Upgrades::new(max_upgrades),
            revocation,
        }))
    }
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("connector", &self.0.connector)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Routed<Permit, B>> for Forward
where
    B: Body + Send + 'static,
    B::Data: Buf,
    B::Error: Into<BoxError>,
{
    type Response = Response<ForwardBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, routed: Routed<Permit, B>) -> Self::Future {
        let (permit, request) = routed.into_parts();
        exchange::exchange(&self.0, permit, request)
    }
}

/// How [`Forward`] works.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    cookies: CookieNames,
    public: PublicAddress,
    /// The same, if it was told.
    told_address: Option<(Scheme, u16)>,
    style: ForwardedStyle,
    supervisor_cookies: SupervisorCookies,
    idle_timeout: Duration,
    max_idle: usize,
    connect: Duration,
    body_idle: Duration,
    max_upgrades: usize,
    tls: Option<Arc<dyn TlsClient>>,
    revocation: Option<Revocation>,
}

impl ForwardOptions {
    /// Keeps back the cookies that `cookies` names; everything else as it should be.
    #[must_use]
    pub fn new(cookies: CookieNames) -> Self {
        Self {
            cookies,
            public: PublicAddress::new(Scheme::Https, Scheme::Https.port()),
            told_address: None,
            style: ForwardedStyle::Replaced,
            supervisor_cookies: SupervisorCookies::Filtered,
            idle_timeout: IDLE_TIMEOUT,
            max_idle: MAX_IDLE_PER_SERVER,
            connect: CONNECT_TIMEOUT,
            body_idle: BODY_IDLE_TIMEOUT,
            max_upgrades: MAX_UPGRADES,
            tls: None,
            revocation: None,
        }
    }

    /// Keeps back the cookies that `cookies` names, in the place of those so far.
    #[must_use]
    pub fn with_cookies(mut self, cookies: CookieNames) -> Self {
        self.cookies = cookies;
        self
    }

    /// Tells workspaces that clients come to `scheme` and `port`, instead of `https` and 443.
    #[must_use]
    pub fn with_public_address(mut self, scheme: Scheme, port: u16) -> Self {
        self.public = PublicAddress::new(scheme, port);
        self.told_address = Some((scheme, port));
        self
    }

    pub(crate) fn told_address(&self) -> Option<(Scheme, u16)> {
        self.told_address
    }

    /// Closes connections that were idle for `timeout`, instead of 60 s.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Keeps at most `connections` idle per server of a workspace, instead of 100.
    #[must_use]
    pub fn with_max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Gives up connecting after `timeout`, instead of 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect = timeout;
        self
    }

    /// Gives a request up, with 408, when nothing of its body came for `timeout`, instead of
    /// 120 s, although the workspace would take more.
    #[must_use]
    pub fn with_body_idle_timeout(mut self, timeout: Duration) -> Self {
        self.body_idle = timeout;
        self
    }

    /// Opens at most `upgrades` connections of other protocols, such as WebSocket, to one
    /// workspace at a time, instead of 1000. Others are refused with 503.
    #[must_use]
    pub fn with_max_upgrades(mut self, upgrades: usize) -> Self {
        self.max_upgrades = upgrades;
        self
    }

    /// Reaches ports that speak HTTPS through `tls`. Without it they are not reached.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<dyn TlsClient>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Ends tunnels and bodies when `revocation` says that they are no longer allowed.
    /// [`WorkspaceProxy`](crate::WorkspaceProxy) does so without being told.
    #[must_use]
    pub fn with_revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = Some(revocation);
        self
    }

    /// Sends all cookies to supervisors, also those of the installation, as the reference
    /// does. A supervisor runs beside what its user runs; do not use this for new ones.
    #[must_use]
    pub fn with_all_cookies_for_supervisors(mut self) -> Self {
        self.supervisor_cookies = SupervisorCookies::All;
        self
    }

    /// Extends `X-Forwarded-For` and leaves the other fields about the client to the proxy in
    /// front, as the reference does. Only where every client comes through such a proxy.
    ///
    /// Also lets apps set cookies of every name and for every domain, and tells editors no `X-Forwarded-Host`,
    /// `-Proto` and `-Port`.
    #[must_use]
    pub fn with_reference_headers(mut self) -> Self {
        self.style = ForwardedStyle::Appended;
        self
    }
}

/// What clients connect to, in the form of header values.
#[derive(Clone, Debug)]
pub(crate) struct PublicAddress {
    scheme: Scheme,
    port: HeaderValue,
}

impl PublicAddress {
    fn new(scheme: Scheme, port: u16) -> Self {
        let port = HeaderValue::from(port);
        Self { scheme, port }
    }

    pub(crate) fn scheme_value(&self) -> HeaderValue {
        HeaderValue::from_static(self.scheme.as_str())
    }

    pub(crate) fn port_value(&self) -> HeaderValue {
        self.port.clone()
    }
}

/// **Source:** these three: deployment of the reference.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_SERVER: usize = 100;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Chosen by us: twice what proxies in front usually wait, so that they are the ones to end it.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Per workspace. Chosen by us: an editor has a dozen per window. Each takes two descriptors
/// of the proxy, which are shared by all workspaces.
const MAX_UPGRADES: usize = 1000;
