//! HTTP in.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::{CheckedStream, Peer};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Service, ServiceExt};

use crate::exit::Failure;

/// How long a client may take to send the head of a request: one that trickles
/// bytes must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the head of a request may take; cookies of many workspaces add up.
const MAX_HEAD: usize = 64 * 1024;
/// How many connections there may be at a time. Each may need two descriptors, and
/// commands, workspaces and files need some, too; see [`raise_descriptor_limit`].
const MAX_CONNECTIONS: usize = 4096;
/// How many descriptors are kept for everything but client connections.
const OTHER_DESCRIPTORS: u64 = 512;
/// How often to look whether enough has come to tell the version of HTTP.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What a client that speaks HTTP/2 sends first: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long requests may go on after the end was asked for.
const DRAIN: Duration = Duration::from_secs(2);
/// How long to wait when the system has no descriptor left for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes the address, or says how to get one.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|why| {
        Failure::failed(format!("cannot listen on {address}"))
            .because(&why)
            .fix("stop the program that holds it, or choose another address with --listen; port 0 takes a free one")
    })
}

/// Serves connections until `stop` is done, then lets requests finish.
pub(super) async fn serve<S, B>(listener: TcpListener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(max_connections()));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((place, stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = service.clone().map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(Peer(peer));
            request
        });
        let watcher = connections.watcher();
        tokio::spawn(async move {
            let _place = place;
            match tokio::time::timeout(HEAD_TIMEOUT, first_words(&stream)).await {
                Ok(Ok(())) => serve_one(stream, service, watcher).await,
                Ok(Err(why)) => tracing::debug!(%why, "connection ended early"),
                Err(_) => tracing::debug!(%peer, "connection said nothing"),
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, connections.shutdown()).await;
}

type Accepted = (OwnedSemaphorePermit, TcpStream, SocketAddr);

/// The next connection, once there is a place for it; `None` if the system has
/// none to give at the moment.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((place, stream, peer))
        }
        Err(why) => {
            tracing::warn!(%why, "cannot accept a connection");
            None
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

async fn serve_one<S, B>(stream: TcpStream, service: S, watcher: Watcher)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
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
    if let Err(why) = watcher.watch(connection).await {
        tracing::debug!(%why, "connection ended early");
    }
}

/// Takes as many descriptors as the system lets this process have.
pub(super) fn raise_descriptor_limit() {
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
