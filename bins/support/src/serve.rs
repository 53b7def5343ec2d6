//! HTTP in: HTTP/1.1 and HTTP/2, in the clear or over TLS, with limits, until the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::{CheckedStream, Peer};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::listen::Listener;
use crate::tls::ServerTls;

/// How long a client may take for a handshake, and for the head of a request: one that
/// trickles bytes must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the head of a request may take; cookies of many workspaces add up.
const MAX_HEAD: usize = 64 * 1024;
/// How many connections there may be at a time, if descriptors suffice: each may need two.
const MAX_CONNECTIONS: usize = 4096;
/// How many descriptors are kept for everything but client connections.
const OTHER_DESCRIPTORS: u64 = 512;
/// How often to look whether enough has come to tell the version of HTTP.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What a client that speaks HTTP/2 sends first: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long to wait when the system has no descriptor left for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves one listener.
///
/// It counts `http_connections_ended_early_total` (connections that failed before or between requests).
#[derive(Clone, Debug)]
pub struct Server {
    tls: Option<ServerTls>,
    drain: Duration,
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
        Self {
            tls: None,
            drain: Duration::from_secs(2),
        }
    }

    /// Over `tls`.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// With as long as `drain` for requests that are under way at the end. Upgraded connections are not
    /// waited for: they end with the process.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Serves connections until `stop`, then lets requests finish.
    pub async fn serve<S, B>(self, listener: Listener, service: S, stop: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connections = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(max_connections()));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some((place, stream)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (tls, service, watcher) =
                (self.tls.clone(), service.clone(), connections.watcher());
            tokio::spawn(async move {
                let _place = place;
                if let Err(why) = serve_one(stream, tls, service, watcher).await {
                    metrics::counter!("http_connections_ended_early_total").increment(1);
                    tracing::debug!(%why, "connection ended early");
                }
            });
        }
        drop(listener);
        let all = tokio::time::timeout(self.drain, connections.shutdown());
        if all.await.is_err() {
            tracing::warn!(budget = ?self.drain, "requests that took too long are cut off");
        }
    }
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// The next connection, once there is a place for it; `None` if the system has
/// none to give at the moment.
async fn accept(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, Stream)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let accepted = match listener {
        Listener::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
            let _ = stream.set_nodelay(true);
            Stream::Tcp(stream, peer)
        }),
        Listener::Unix(listener, _) => listener
            .accept()
            .await
            .map(|(stream, _)| Stream::Unix(stream)),
    };
    accepted
        .inspect_err(|why| tracing::warn!(%why, "cannot accept a connection"))
        .ok()
        .map(|stream| (place, stream))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn serve_one<S, B>(
    stream: Stream,
    tls: Option<ServerTls>,
    service: S,
    watcher: Watcher,
) -> Result<(), Failure>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Failure>,
{
    let timed = |words| tokio::time::timeout(HEAD_TIMEOUT, words);
    match (stream, tls) {
        (Stream::Unix(stream), _) => serve_stream(stream, service, watcher).await,
        (Stream::Tcp(stream, peer), tls) => {
            let service = service.map_request(move |mut request: Request<_>| {
                request.extensions_mut().insert(Peer(peer));
                request
            });
            match tls {
                None => {
                    timed(first_words(&stream)).await??;
                    serve_stream(stream, service, watcher).await
                }
                Some(tls) => {
                    let stream = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await??;
                    serve_stream(stream, service, watcher).await
                }
            }
        }
    }
}

/// Waits until a connection has said enough to tell which version of HTTP it
/// speaks. From there on the server has deadlines of its own.
async fn first_words(stream: &TcpStream) -> std::io::Result<()> {
    let mut words = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut words).await?;
        let said = words.get(..length).unwrap_or_default();
        if length == 0 || said == PREFACE || !PREFACE.starts_with(said) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn serve_stream<I, S, B>(stream: I, service: S, watcher: Watcher) -> Result<(), Failure>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Failure>,
{
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(HEAD_TIMEOUT);
    // Requests of unclear length are refused, before hyper reads one of them.
    let stream = TokioIo::new(CheckedStream::new(stream));
    let connection = server
        .serve_connection_with_upgrades(stream, TowerToHyperService::new(service))
        .into_owned();
    watcher.watch(connection).await
}

/// Takes as many descriptors as the system lets this process have.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(why) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%why, "the limit of open files stays as it is");
    }
}

fn max_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let for_clients = descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2;
    usize::try_from(for_clients).map_or(MAX_CONNECTIONS, |most| most.clamp(16, MAX_CONNECTIONS))
}
