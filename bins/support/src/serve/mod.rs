//! HTTP in: HTTP/1.1 and HTTP/2, in the clear or over TLS, with limits, until the end.
//!
//! ```text
//! accept ─▶ places: is there room? ─▶ connection: which HTTP? ─▶ request: counted ─▶ the service
//!    │                                     ▲                         │ upgraded: still counted
//!    └───────────── drain: no more, finish, close, cut ──────────────┘
//! ```

mod accept;
mod connection;
mod descriptors;
mod drain;
mod handed;
mod load;
mod places;
mod request;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::Sources;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use self::descriptors::raise_descriptor_limit;
pub use self::drain::Ending;
use self::drain::Visitors;
use self::load::Loads;
use self::places::Places;
use crate::limits::{Limit, Limits};
use crate::listen::Listener;
use crate::tls::ServerTls;

/// Serves listeners. Clones share what is limited.
///
/// It counts `http_connections_ended_early_total` (connections that failed before or between requests) and, with
/// the name of the limit, `gitpod_limit_refusals_total`.
#[derive(Clone, Debug)]
pub struct Server {
    tls: Option<ServerTls>,
    drain: Duration,
    guard: Arc<Guard>,
}

/// What all connections share.
#[derive(Debug)]
struct Guard {
    limits: Limits,
    places: Places,
    sources: Sources,
    loads: Loads,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// In the clear, with two seconds to finish requests at the end.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(&Limits::new())
    }

    /// The same, within `limits`.
    #[must_use]
    pub fn with_limits(limits: &Limits) -> Self {
        let sources = Sources::new(limits.count(Limit::ConnectionsPerSource));
        let sources = match limits.count(Limit::ConnectionsPerLocalSource) {
            0 => sources,
            most => sources.with_loopback(most),
        };
        let connections = descriptors::at_most(limits.count(Limit::Connections));
        Self {
            tls: None,
            drain: Duration::from_secs(2),
            guard: Arc::new(Guard {
                limits: limits.clone(),
                places: Places::new(connections),
                sources,
                loads: Loads::new(limits),
            }),
        }
    }

    /// Over `tls`.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// With as long as `drain` for requests and tunnels that are under way at the end.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Serves connections until `stop`, then lets requests finish, and WebSockets go on until they end or there is
    /// no time left: then their clients are told to come again.
    pub async fn serve(self, listener: Listener, service: impl Respond, stop: CancellationToken) {
        let end = async move {
            stop.cancelled().await;
            Ending::Stop
        };
        self.serve_until(listener, service, end).await;
    }

    /// The same, until `end` says how it ends.
    pub async fn serve_until(
        self,
        listener: Listener,
        service: impl Respond,
        end: impl Future<Output = Ending>,
    ) {
        let visitors = Visitors::new();
        let ending = accept::accept_all(&self, &listener, &service, &visitors, end).await;
        drop(listener);
        visitors.drain(ending, self.drain).await;
    }
}

/// A service that answers requests of anybody: one clone for each.
///
/// Every tower service is one that takes a hyper request, cannot fail, and can be sent to another thread with all
/// that it makes.
pub trait Respond:
    Service<
        Request<Incoming>,
        Response = Response<<Self as Respond>::Body>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// Of its answers.
    type Body: Body<Data: Send, Error: Into<Failure>> + Send + 'static;
}

impl<S, B> Respond for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<Failure>> + Send + 'static,
{
    type Body = B;
}

/// Why an answer broke off.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
