//! HTTP in.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use gitpod_routing::{CheckedStream, Peer};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

use crate::exit::Failure;

/// How long a client may take to send the head of a request: one that trickles
/// bytes must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the head of a request may take; cookies of many workspaces add up.
const MAX_HEAD: usize = 64 * 1024;
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
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    tracing::warn!(%why, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
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
        let service = service.clone().map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(Peer(peer));
            request
        });
        // Requests of unclear length are refused, before hyper reads one of them.
        let stream = TokioIo::new(CheckedStream::new(stream));
        let connection = server
            .serve_connection_with_upgrades(stream, TowerToHyperService::new(service))
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(why) = connection.await {
                tracing::debug!(%why, "connection ended early");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, connections.shutdown()).await;
}
