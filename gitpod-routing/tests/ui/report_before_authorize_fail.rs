//! Use is reported before it was allowed.

use std::convert::Infallible;
use std::sync::Arc;

use gitpod_routing::layers::{AuthorizeLayer, LocateLayer, ParseHostLayer, ReportActivityLayer, adapt};
use gitpod_routing::{AccessPolicy, HostPattern, HostTarget, MemoryActivity, MemoryProvider, Permit, Routed};
use http::{Request, Response};
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::cors::CorsLayer;

async fn forward(_: Routed<Permit, String>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

fn serves<S: Service<Request<String>>>(_service: S) {}

fn main() {
    let pattern = HostPattern::new("ws.example.com").unwrap();
    let parse = ParseHostLayer::new(pattern.clone());
    let locate = LocateLayer::new(Arc::new(MemoryProvider::new()));
    let authorize = AuthorizeLayer::new(AccessPolicy::new(pattern, "example.com"));
    let report = ReportActivityLayer::new(Arc::new(MemoryActivity::new()));
    let cors = adapt::<_, HostTarget>(CorsLayer::new());
    let leaf = service_fn(forward);
    serves(ServiceBuilder::new().layer(parse).layer(cors).layer(locate).layer(report).layer(authorize).service(leaf));
}
