//! A proxy and upstream servers on loopback, at free ports.
#![allow(dead_code, unreachable_pub)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::{
    AccessPolicy, CheckedStream, DirectConnector, HostPattern, InstanceId, MemoryActivity,
    MemoryProvider, OwnerToken, Peer, PodPorts, PortInfo, WorkspaceId, WorkspaceInfo,
    WorkspaceProxy,
};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

pub const ID: &str = "pink-panda-ns35kd21";
pub const TOKEN: &str = "s3cret-owner-token";
pub const DOMAIN: &str = "ws.example.com";

/// A running proxy that knows one workspace.
pub struct Rig {
    pub address: SocketAddr,
    pub workspaces: MemoryProvider,
    pub activity: MemoryActivity,
}

pub fn id() -> WorkspaceId {
    ID.parse().unwrap()
}

pub fn instance(text: &str) -> InstanceId {
    text.parse().unwrap()
}

/// The workspace, running on loopback, with `ports` public.
pub fn info(ports: &[u16]) -> WorkspaceInfo {
    let ports = ports.iter().map(|port| PortInfo::new(*port).public());
    WorkspaceInfo::new(id(), instance("i-1"), OwnerToken::new(TOKEN))
        .running_at([127, 0, 0, 1].into())
        .with_ports(ports.collect())
}

pub fn pattern() -> HostPattern {
    HostPattern::new(DOMAIN).unwrap()
}

pub fn host(port: u16) -> String {
    format!("{port}-{ID}.{DOMAIN}")
}

impl Rig {
    /// A proxy to a workspace whose server at `upstream` is editor, supervisor and public port.
    pub async fn new(upstream: SocketAddr) -> Self {
        Self::changed(upstream, |proxy| proxy).await
    }

    pub async fn changed(
        upstream: SocketAddr,
        change: impl FnOnce(WorkspaceProxy) -> WorkspaceProxy,
    ) -> Self {
        let workspaces = MemoryProvider::new();
        workspaces.insert(info(&[upstream.port()]));
        let activity = MemoryActivity::new();
        let mut ports = PodPorts::new();
        ports.ide = upstream.port();
        let connector = DirectConnector::new()
            .with_ports(ports)
            .with_loopback_allowed();
        let proxy = WorkspaceProxy::new(pattern(), Arc::new(workspaces.clone()))
            .with_policy(AccessPolicy::new(pattern(), "example.com"))
            .with_activity(Arc::new(activity.clone()))
            .with_connector(Arc::new(connector));
        let address = serve_proxy(change(proxy)).await;
        Self {
            address,
            workspaces,
            activity,
        }
    }

    /// Sends `text` with every line end made CRLF, and reads all that comes back.
    pub async fn raw(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(crlf(text).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _cut = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

pub fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

pub async fn serve_proxy(proxy: WorkspaceProxy) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let proxy = proxy.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer));
                proxy.clone().oneshot(request)
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let io = TokioIo::new(CheckedStream::new(stream));
                let _closed = server.serve_connection_with_upgrades(io, service).await;
            });
        }
    });
    address
}

/// An HTTP/1.1 server that answers with `answer`.
pub async fn upstream<F, A, B>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    raw_upstream(move |stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _closed = server
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        }
    })
    .await
}

/// A server that does with each connection what `serve` does.
pub async fn raw_upstream<F, A>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads up to the end of a message's head.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Reads exactly as many bytes as `expected` has.
pub async fn read_text(stream: &mut TcpStream, expected: &str) {
    let mut text = vec![0; expected.len()];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&text), expected);
}

/// Fails a test that hangs, with a name.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than 20 s"))
}
