//! A workspace that answers at once, without a socket.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gitpod_routing::layers::{
    Authorize, AuthorizeLayer, ExplainRefusal, ExplainRefusalLayer, Locate, LocateLayer, Measure,
    MeasureLayer, ParseHost, ParseHostLayer, ReportActivity, ReportActivityLayer,
};
use gitpod_routing::{
    AccessPolicy, ConnectError, Connection, Connector, DialTarget, HostPattern, IgnoreActivity,
    Permit, Routed, WorkspaceProxy,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::util::ServiceFn;
use tower::{Layer, Service, service_fn};

use crate::{Error, id, workspaces};

/// Connects to a task that gives the same answer to every request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Null;

#[async_trait]
impl Connector for Null {
    async fn connect(&self, _target: &DialTarget) -> Result<Connection, ConnectError> {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(answer_all(far));
        Ok(Box::new(near))
    }
}

async fn answer_all(mut stream: DuplexStream) -> std::io::Result<()> {
    let mut head = [0; 4096];
    loop {
        // Requests are small and come one by one: each is read at once.
        if stream.read(&mut head).await? == 0 {
            return Ok(());
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await?;
    }
}

/// A request as a browser sends it, to a public port.
///
/// # Errors
///
/// Never; all parts are constants.
pub fn request() -> Result<Request<Empty<Bytes>>, Error> {
    let host = format!("3000-{}.ws.example.com", id(1)?);
    Ok(Request::get("/assets/app.js?v=1")
        .header("host", host)
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "*/*")
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header(
            "cookie",
            "theme=dark; _example_com_ws_i-1_owner_=00000000000000000000000000000001",
        )
        .header("connection", "keep-alive")
        .body(Empty::new())?)
}

/// The whole stack over a null workspace.
///
/// # Errors
///
/// Never; all names are constants.
pub fn proxy() -> Result<WorkspaceProxy, Error> {
    let pattern = HostPattern::new("ws.example.com")?;
    let provider = Arc::new(workspaces(1000)?);
    let policy = AccessPolicy::new(pattern.clone(), "example.com");
    Ok(WorkspaceProxy::new(pattern, provider)
        .with_policy(policy)
        .with_connector(Arc::new(Null)))
}

/// The same stages over a leaf that answers by itself: what is left is their cost.
///
/// # Errors
///
/// Never; all names are constants.
pub fn stages() -> Result<Stages, Error> {
    let pattern = HostPattern::new("ws.example.com")?;
    let policy = AccessPolicy::new(pattern.clone(), "example.com");
    let leaf: Leaf = service_fn(|_permitted: Routed<Permit, Empty<Bytes>>| {
        ready(Ok(Response::new(Empty::new())))
    });
    let report = ReportActivityLayer::new(Arc::new(IgnoreActivity::new())).layer(leaf);
    let authorize = AuthorizeLayer::new(policy).layer(report);
    let locate = LocateLayer::new(Arc::new(workspaces(1000)?)).layer(authorize);
    let parse = ParseHostLayer::new(pattern).layer(locate);
    Ok(MeasureLayer::new().layer(ExplainRefusalLayer::new().layer(parse)))
}

type Leaf = ServiceFn<fn(Routed<Permit, Empty<Bytes>>) -> Ready<Answer>>;
type Answer = Result<Response<Empty<Bytes>>, Infallible>;

/// What [`stages`] gives.
pub type Stages = Measure<ExplainRefusal<ParseHost<Locate<Authorize<ReportActivity<Leaf>>>>>>;

/// The leaf without stages: what the measuring itself costs.
#[must_use]
pub fn nothing() -> Nothing {
    service_fn(|_request: Request<Empty<Bytes>>| ready(Ok(Response::new(Empty::new()))))
}

/// What [`nothing`] gives.
pub type Nothing = ServiceFn<fn(Request<Empty<Bytes>>) -> Ready<Answer>>;

/// Sends `request` through `service`, reads the answer, and lets the connection come to rest.
///
/// # Errors
///
/// If the answer breaks off.
pub async fn exchange<S, R, B>(service: &mut S, request: R) -> Result<u16, Error>
where
    S: Service<R, Response = Response<B>, Error = Infallible>,
    B: BodyExt<Data = Bytes> + Unpin,
    B::Error: Into<Error>,
{
    std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
    let response = service.call(request).await?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(Into::into)?;
    }
    drop(body);
    tokio::task::yield_now().await;
    Ok(status)
}
