//! Workspaces beside the routes of an axum app.
//!
//! ```sh
//! cargo run -p gitpod-examples --example axum_fallback
//! ```
//!
//! Prints:
//!
//! ```text
//! app                  200 our own route
//! port of workspace    200 Hello from inside!
//! without the token    401 Access denied
//! unknown workspace    404 No such workspace
//! ```

#![allow(clippy::print_stdout)]

use std::sync::Arc;

use axum::Router;
use axum::routing::get as route;
use gitpod_examples::{Error, get, greeter, workspace};
use gitpod_routing::{DirectConnector, HostPattern, MemoryProvider, WorkspaceProxy};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let inside = greeter().await?;
    let workspaces = MemoryProvider::new();
    workspaces.insert(workspace()?);

    // On a cluster, leave the connector out: then pods are dialled, and loopback is refused.
    let connector = DirectConnector::new().with_loopback_allowed();
    let proxy = WorkspaceProxy::new(HostPattern::new("ws.example.com")?, Arc::new(workspaces))
        .with_connector(Arc::new(connector));
    let app: Router = Router::new()
        .route("/about", route(|| async { "our own route" }))
        .fallback_service(proxy);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let port = format!("{}-pink-panda-ns35kd21.ws.example.com", inside.port());
    let unknown = "grey-goose-ns35kd21.ws.example.com";
    println!(
        "app                  {}",
        get(address, "example.com", "/about", "").await?
    );
    println!(
        "port of workspace    {}",
        get(address, &port, "/", "s3cret").await?
    );
    println!(
        "without the token    {}",
        get(address, &port, "/", "").await?
    );
    println!(
        "unknown workspace    {}",
        get(address, unknown, "/", "s3cret").await?
    );
    Ok(())
}
