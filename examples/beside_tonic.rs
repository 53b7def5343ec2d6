//! Workspaces and a gRPC service on one port.
//!
//! ```sh
//! cargo run -p gitpod-examples --example beside_tonic
//! ```
//!
//! Prints:
//!
//! ```text
//! gRPC health          Serving
//! port of workspace    200 Hello from inside!
//! ```

#![allow(clippy::print_stdout)]

use std::sync::Arc;

use gitpod_examples::{Error, get, greeter, workspace};
use gitpod_routing::{DirectConnector, HostPattern, MemoryProvider, WorkspaceProxy};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let inside = greeter().await?;
    let workspaces = MemoryProvider::new();
    workspaces.insert(workspace()?);
    let connector = DirectConnector::new().with_loopback_allowed();
    let proxy = WorkspaceProxy::new(HostPattern::new("ws.example.com")?, Arc::new(workspaces))
        .with_connector(Arc::new(connector));

    // What is no path of a gRPC service goes to the proxy.
    let (_reporter, health) = tonic_health::server::health_reporter();
    let app = Routes::new(health)
        .into_axum_router()
        .reset_fallback()
        .fallback_service(proxy);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let mut client = HealthClient::new(channel);
    let answer = client.check(HealthCheckRequest::default()).await?;
    println!("gRPC health          {:?}", answer.into_inner().status());

    let port = format!("{}-pink-panda-ns35kd21.ws.example.com", inside.port());
    println!(
        "port of workspace    {}",
        get(address, &port, "/", "s3cret").await?
    );
    Ok(())
}
