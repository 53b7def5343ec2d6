//! Ordinary tower layers between two stages.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::layers::{
    AuthorizeLayer, ExplainRefusalLayer, LocateLayer, ParseHostLayer, ReportActivityLayer, adapt,
};
use gitpod_routing::{
    AccessPolicy, HostPattern, MemoryActivity, MemoryProvider, OwnerToken, Permit, PortInfo,
    Refusal, Routed, WorkspaceInfo,
};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

type Body = String;

const HOST: &str = "3000-pink-panda-ns35kd21.ws.example.com";

async fn serve(routed: Routed<Permit, Body>) -> Result<Response<Body>, Infallible> {
    if routed.request().uri().path() == "/slow" {
        pending::<()>().await;
    }
    Ok(Response::new(routed.stage().info().id.to_string()))
}

fn pattern() -> HostPattern {
    HostPattern::new("ws.example.com").unwrap()
}

fn workspaces() -> Arc<MemoryProvider> {
    let workspaces = MemoryProvider::new();
    let id = "pink-panda-ns35kd21".parse().unwrap();
    let info = WorkspaceInfo::new(id, "i-1".parse().unwrap(), OwnerToken::new("s3cret"))
        .running_at([10, 0, 0, 1].into())
        .with_ports(vec![PortInfo::new(3000).public()]);
    workspaces.insert(info);
    Arc::new(workspaces)
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30))
}

async fn answer(path: &str) -> Response<impl http_body::Body> {
    let service = ServiceBuilder::new()
        .layer(ExplainRefusalLayer::new())
        .layer(ParseHostLayer::new(pattern()))
        .layer(adapt(TraceLayer::new_for_http()))
        .layer(LocateLayer::new(workspaces()))
        .layer(adapt(timeout()))
        .layer(AuthorizeLayer::new(AccessPolicy::new(
            pattern(),
            "example.com",
        )))
        .layer(adapt(CorsLayer::permissive()))
        .layer(ReportActivityLayer::new(Arc::new(MemoryActivity::new())))
        .service_fn(serve);
    let request = Request::get(path)
        .header("host", HOST)
        .header("origin", "https://a.test")
        .body(Body::new())
        .unwrap();
    service.oneshot(request).await.unwrap()
}

#[tokio::test]
async fn trace_timeout_and_cors_sit_between_stages() {
    let response = answer("/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
}

#[tokio::test(start_paused = true)]
async fn timeout_in_the_middle_ends_a_slow_request() {
    assert_eq!(answer("/slow").await.status(), StatusCode::GATEWAY_TIMEOUT);
}

/// Passes on a new request in the place of the one it was given.
#[derive(Clone)]
struct Replace<S>(S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for Replace<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, _given: Request<Body>) -> S::Future {
        self.0.call(Request::new(Body::new()))
    }
}

struct ReplaceLayer;

impl<S> Layer<S> for ReplaceLayer {
    type Service = Replace<S>;

    fn layer(&self, inner: S) -> Replace<S> {
        Replace(inner)
    }
}

#[tokio::test]
async fn request_that_lost_its_stage_is_refused() {
    let service = ServiceBuilder::new()
        .layer(ParseHostLayer::new(pattern()))
        .layer(LocateLayer::new(workspaces()))
        .layer(AuthorizeLayer::new(AccessPolicy::new(
            pattern(),
            "example.com",
        )))
        .layer(adapt(ReplaceLayer))
        .service(service_fn(serve));
    let request = Request::get("/")
        .header("host", HOST)
        .body(Body::new())
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(matches!(
        response.extensions().get(),
        Some(Refusal::StageLost)
    ));
}
