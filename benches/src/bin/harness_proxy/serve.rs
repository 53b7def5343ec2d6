//! HTTP in, as the programs of this repository serve it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gitpod_benches::Error;
use gitpod_routing::{CheckedStream, ConnectionTimer, Peer, ProxyBody, WorkspaceProxy};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// How long a client may take for a handshake, and for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the head of a request may take.
const MAX_HEAD: usize = 64 * 1024;
/// The most of a body that is read at once. Read buffers grow to it only while much comes.
const MAX_READ: usize = 512 * 1024;
/// Connections that wait to be accepted: as many as for the other proxies.
const BACKLOG: u32 = 4096;

/// Listens at `address`.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves HTTP/1.1.
pub(crate) async fn in_the_clear(listener: TcpListener, proxy: WorkspaceProxy) {
    loop {
        let Some((stream, peer)) = accept(&listener).await else {
            continue;
        };
        tokio::spawn(serve_http1(stream, peer, proxy.clone()));
    }
}

/// Serves HTTP/1.1 or HTTP/2, whichever a client asks for.
pub(crate) async fn over_tls(listener: TcpListener, acceptor: TlsAcceptor, proxy: WorkspaceProxy) {
    loop {
        let Some((stream, peer)) = accept(&listener).await else {
            continue;
        };
        let (acceptor, proxy) = (acceptor.clone(), proxy.clone());
        tokio::spawn(async move {
            let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await else {
                return;
            };
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => serve_http2(stream, peer, proxy).await,
                _ => serve_http1(stream, peer, proxy).await,
            }
        });
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some((stream, peer))
}

async fn serve_http1<I>(stream: I, peer: SocketAddr, proxy: WorkspaceProxy)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let proxy = RefCell::new(proxy);
    let stream = TokioIo::new(CheckedStream::new(stream));
    let connection = http1::Builder::new()
        .timer(ConnectionTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_READ)
        .serve_connection(
            stream,
            service_fn(move |request| answer(&proxy, peer, request)),
        )
        .with_upgrades();
    let _broken = connection.await;
}

async fn serve_http2<I>(stream: I, peer: SocketAddr, proxy: WorkspaceProxy)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let proxy = RefCell::new(proxy);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(HEAD_TIMEOUT)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| answer(&proxy, peer, request)),
        );
    let _broken = connection.await;
}

/// What `proxy`, which is always ready, answers. The harness wants 403 also where nothing is shown.
fn answer(
    proxy: &RefCell<WorkspaceProxy>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ProxyBody>, Infallible>> + use<> {
    request.extensions_mut().insert(Peer(peer));
    let answer = proxy.borrow_mut().call(request);
    async move {
        let mut response = answer.await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        Ok(response)
    }
}

/// TLS with the certificate and key of two PEM files, without resumption.
///
/// # Errors
///
/// If the files cannot be read, or do not belong together.
pub(crate) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert)?.collect();
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(TlsAcceptor::from(Arc::new(config)))
}
