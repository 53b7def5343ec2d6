//! The proxy as the only service of a hyper server.
//!
//! ```sh
//! cargo run -p gitpod-examples --example plain_hyper
//! ```
//!
//! Prints:
//!
//! ```text
//! public port          200 Hello from inside!
//! editor, no token     401 Access denied
//! closed port          404 Port 1 is not open
//! ```

#![allow(clippy::print_stdout)]

use std::sync::Arc;

use gitpod_examples::{Error, get, greeter, workspace};
use gitpod_routing::{
    CheckedStream, DirectConnector, HostPattern, MemoryProvider, Peer, PortInfo, WorkspaceProxy,
};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let inside = greeter().await?;
    let workspaces = MemoryProvider::new();
    workspaces.insert(workspace()?.with_ports(vec![PortInfo::new(inside.port()).public()]));
    let connector = DirectConnector::new().with_loopback_allowed();
    let proxy = WorkspaceProxy::new(HostPattern::new("ws.example.com")?, Arc::new(workspaces))
        .with_connector(Arc::new(connector));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, proxy));

    let host = |label: String| format!("{label}pink-panda-ns35kd21.ws.example.com");
    let (public, closed) = (host(format!("{}-", inside.port())), host("1-".into()));
    println!(
        "public port          {}",
        get(address, &public, "/", "").await?
    );
    println!(
        "editor, no token     {}",
        get(address, &host(String::new()), "/", "").await?
    );
    println!(
        "closed port          {}",
        get(address, &closed, "/", "s3cret").await?
    );
    Ok(())
}

/// HTTP/1.1 and HTTP/2, with upgrades, until the process ends.
async fn serve(listener: TcpListener, proxy: WorkspaceProxy) -> std::io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let proxy = proxy.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer)); // for X-Forwarded-For
            proxy.clone().oneshot(request)
        });
        tokio::spawn(async move {
            let io = TokioIo::new(CheckedStream::new(stream));
            let server = auto::Builder::new(TokioExecutor::new());
            let _closed = server.serve_connection_with_upgrades(io, service).await;
        });
    }
}
