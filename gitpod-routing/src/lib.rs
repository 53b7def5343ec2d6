//! Route HTTP and WebSocket to workspaces by hostname.
//!
//! A workspace is reached under a hostname that names it, for example
//! `8080-pink-panda-ns35kd21.ws.example.com` for port 8080 of workspace
//! `pink-panda-ns35kd21`. Embed the proxy in an app, and tell it which workspaces there are:
//!
//! ```
//! # use std::{future::IntoFuture, net::IpAddr, sync::Arc};
//! # use axum::{Router, routing::get};
//! # #[cfg(feature = "proxy")]
//! # use gitpod_routing::{DirectConnector, WorkspaceProxy};
//! # use gitpod_routing::{HostPattern, InstanceId, MemoryProvider, OwnerToken, PortInfo, WorkspaceInfo};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # use tokio::net::{TcpListener, TcpStream};
//! # #[cfg(not(feature = "proxy"))]
//! # fn main() {}
//! # #[cfg(feature = "proxy")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = TcpListener::bind("127.0.0.1:0").await?;
//! # let address: IpAddr = server.local_addr()?.ip();
//! # let port = server.local_addr()?.port();
//! # tokio::spawn(axum::serve(server, Router::new().route("/", get(|| async { "Hello from inside!" }))).into_future());
//! # let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! # let instance: InstanceId = "0f1e2d3c-0000-4000-8000-000000000001".parse()?;
//! # let info = WorkspaceInfo::new("pink-panda-ns35kd21".parse()?, instance, OwnerToken::new("s3cret"));
//! let workspaces = MemoryProvider::new();
//! workspaces.insert(info.running_at(address).with_ports(vec![PortInfo::new(port).public()]));
//!
//! let pattern = HostPattern::new("ws.example.com")?;
//! let connector = DirectConnector::new().with_loopback_allowed(); // only to try it out
//! let proxy = WorkspaceProxy::new(pattern, Arc::new(workspaces)).with_connector(Arc::new(connector));
//! let app: Router = Router::new().route("/health", get(|| async { "ok" })).fallback_service(proxy);
//! tokio::spawn(axum::serve(listener, app).into_future());
//! # let head = format!("GET / HTTP/1.1\r\nhost: {port}-pink-panda-ns35kd21.ws.example.com\r\nconnection: close\r\n\r\n");
//! # client.write_all(head.as_bytes()).await?;
//! # let mut answer = String::new();
//! # client.read_to_string(&mut answer).await?;
//! # assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello from inside!"), "{answer}");
//! # Ok(())
//! # }
//! ```
//!
//! # The flow
//!
//! Each stage is a tower layer that hands on a value which only it can make:
//!
//! ```text
//!  http::Request ─▶ ParseHost ─▶ Locate ─▶ Authorize ─▶ ReportActivity ─▶ Forward ─▶ response
//!                       │ HostTarget │ Located  │ Permit         │ Permit      ▲
//!                       ▼            ▼          ▼                ▼             │ Connector
//!                   404, 400     404, 503   401, 403, 503   ActivitySink   workspace
//! ```
//!
//! A stack in the wrong order does not compile, so a request that was not authorised cannot
//! be forwarded. Refusals carry their reason as a [`Refusal`]; the outermost layer draws the
//! page. `WorkspaceProxy` is the whole stack; [`layers`] has the
//! parts, and [`layers::adapt`] puts any other layer between them.
//!
//! With a `Starter`, `Admit` and `Wake` take the place of `Authorize`: a request to a stopped
//! workspace has it started and waits. Between `Locate` and them, `SignIn` answers the `Links` that make somebody the
//! owner, once, or the visitor of a share. What is open (a WebSocket, an event stream, a long
//! body) ends within a second of losing its permission: `Revocation` watches over it.
//!
//! # Plugging in
//!
//! | trait | answers | in memory |
//! | --- | --- | --- |
//! | [`WorkspaceInfoProvider`] | where does this workspace run, who may use it? | [`MemoryProvider`] |
//! | [`ActivitySink`] | (hears that it is used) | [`MemoryActivity`], [`IgnoreActivity`] |
//! | `Connector` | how is it reached? | `DirectConnector` dials TCP |
//! | `Starter` | (starts a stopped workspace for who comes to it) | `MemoryStarter` |
//! | [`Pages`] | what does a refused client read? | [`BuiltInPages`] |
//! | `ShareStore`, `UsedLinks` | which shares stand, which links were used? | `MemoryShares`, `MemoryUsedLinks` |
//!
//! # What this crate does not do
//!
//! It opens no listener, terminates no TLS, reads no configuration file and starts no
//! workspace. It serves no static content for editors and speaks HTTP/1.1 to workspaces, in
//! the clear. Early hints (`103`) of a workspace are not passed on. A request that says twice
//! how long it is reaches no stage if the server in front tidies it up, as hyper does; wrap
//! connections in `CheckedStream` to have it refused. What is forwarded is framed anew anyway.
//!
//! # Limits
//!
//! | what | by default | set with |
//! | --- | --- | --- |
//! | header fields, bytes of a head | 100, 64 KiB | [`layers::ParseHostLayer::with_head_limits`] |
//! | a client that sends nothing of a body | 120 s | `ForwardOptions::with_body_idle_timeout` |
//! | a workspace that does not answer a connection | 10 s | `ForwardOptions::with_connect_timeout` |
//! | upgraded connections to a workspace | 1000 | `ForwardOptions::with_max_upgrades` |
//! | idle connections to a server | 100, 60 s | `ForwardOptions::with_max_idle`, `with_idle_timeout` |
//! | requests held for a start | 1000 a workspace, 10 000, 60 s, 1 MiB | `WakeLimits` |
//! | connections from one source | up to the listener | [`Sources`] |
//! | when to come again after a refusal that passes | 2 to 6 s, drawn for each | [`Jitter`] |
//!
//! What goes over one is refused, with [`Refusal::OverLimit`] or [`Refusal`]'s other variants,
//! and counts in `gitpod_ws_proxy_refusals_total`. How long a head may take, and how many
//! streams a connection has, is up to the server in front.
//!
//! # Where it differs from the reference
//!
//! | here | to have it as the reference does |
//! | --- | --- |
//! | hosts ignore case, port 0 and leading zeros match nothing | [`HostPattern::with_reference_rules`] |
//! | a request for another host than the client named in TLS gets 421 | insert no [`TlsServerName`] |
//! | status routes and the supervisor's page need the token | [`AccessPolicy::with_open_status_routes`], [`AccessPolicy::with_open_frontend`] |
//! | a target and a `Host` that differ are refused | [`HostSource::with_target_first`] |
//! | supervisors get no cookies of the installation | `ForwardOptions::with_all_cookies_for_supervisors` |
//! | unknown workspaces answer 404 | [`layers::LocateLayer::with_start_page`] |
//! | `/health` and ACME challenges are nobody's | [`layers::OwnPathsLayer`] |
//! | sharing does not open the supervisor, but for reading its state | [`AccessPolicy::with_shared_supervisor`] |
//! | upgrades to editors check `Origin` | [`AccessPolicy::without_origin_check`] |
//! | cookies are joined with `; ` | [`CookieNames::with_reference_spelling`] |
//! | `X-Forwarded-*` are replaced, and tell editors the host as well | `ForwardOptions::with_reference_headers` |
//! | refusals have a body | leave [`layers::ExplainRefusalLayer`] out |
//! | stopped workspaces answer 503 without being dialled | report them as running |
//!
//! # Features
//!
//! None is on by default.
//!
//! - `proxy`: `Forward`, `Connector` and `WorkspaceProxy` (hyper, tokio).
//! - `pages`: refusals as HTML for browsers (askama); without it they get plain text.
//! - `tls`: `RustlsClient`, TLS to ports of workspaces that speak HTTPS (rustls); you bring the cryptography.
//! - `sign-in`: `Links` that let the owner in once and visitors while a share stands (hmac, sha2). Part of `proxy`.
//! - `revocation`: `Revocation` ends what is open once it is no longer allowed (tokio). Part of `proxy`.
//! - `wake`: `Wakes` starts stopped workspaces for who comes to them (tokio). Part of `proxy`.
//! - `testing`: conformance tests for your own providers and connectors.

mod access;
mod activity;
mod change;
#[cfg(feature = "proxy")]
mod checked_stream;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "proxy")]
mod connection_timer;
#[cfg(feature = "proxy")]
mod cut;
#[cfg(feature = "proxy")]
pub mod forward;
mod framing;
mod host;
mod id;
mod info;
mod jitter;
pub mod layers;
#[cfg(feature = "sign-in")]
mod links;
mod memory;
mod pages;
mod peer;
#[cfg(feature = "proxy")]
mod proxy;
mod refusal;
#[cfg(feature = "revocation")]
mod revocation;
mod secret;
mod server_name;
mod service;
mod share;
mod sources;
mod stage;
#[cfg(feature = "proxy")]
mod stay;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "wake")]
mod wake;

pub use self::access::{
    Access, AccessPolicy, CookieNames, Denied, OWNER_TOKEN_HEADER, Presented, Source, decide,
};
pub use self::activity::{ActivitySink, IgnoreActivity, MemoryActivity};
pub use self::change::{ChangeSignal, Changes};
#[cfg(feature = "proxy")]
pub use self::checked_stream::CheckedStream;
#[cfg(feature = "proxy")]
pub use self::connection_timer::ConnectionTimer;
#[cfg(feature = "proxy")]
pub use self::cut::Cut;
#[cfg(feature = "proxy")]
pub use self::forward::{
    ConnectError, Connection, Connector, DialTarget, DirectConnector, Forward, ForwardBody,
    ForwardOptions, Io, PodPorts, TlsClient,
};
pub use self::host::{
    Endpoint, HostError, HostName, HostPattern, HostSource, HostTarget, PublicUrl, Scheme,
    SiblingPattern, Via, url_port,
};
pub use self::id::{IdError, InstanceId, WorkspaceId};
pub use self::info::{
    Admission, BoxError, FormerOwner, Lookup, PortInfo, Protocol, ProviderError, RunState,
    Visibility, WakePolicy, WorkspaceInfo, WorkspaceInfoProvider,
};
pub use self::jitter::Jitter;
#[cfg(feature = "sign-in")]
pub use self::links::{
    LinkError, Links, LocalPath, LocalPathError, MemoryShares, MemoryUsedLinks, NewShare,
    SecretUrl, ShareStore, ShareStoreError, SigningKey, Use, UsedLinks,
};
pub use self::memory::MemoryProvider;
pub use self::pages::{BuiltInPages, Format, Page, Pages, RefusedTo, WayIn};
pub use self::peer::Peer;
#[cfg(feature = "proxy")]
pub use self::proxy::{ProxyBody, WorkspaceProxy};
pub use self::refusal::{BadRequest, Limit, LinkRefused, NotWoken, Refusal, Unanswered};
#[cfg(feature = "revocation")]
pub use self::revocation::{Lease, Revocation};
pub use self::secret::OwnerToken;
pub use self::server_name::TlsServerName;
pub use self::service::WorkspaceService;
pub use self::share::{Share, ShareId, ShareIdError, ShareScope};
pub use self::sources::{Seat, Sources};
#[cfg(feature = "wake")]
pub use self::stage::Admitted;
pub use self::stage::{Permit, Routed};
#[cfg(feature = "proxy")]
pub use self::stay::Stay;
#[cfg(feature = "tls")]
pub use self::tls::RustlsClient;
#[cfg(feature = "wake")]
pub use self::wake::{MemoryStarter, StartError, Starter, WakeLimits, Wakes};
