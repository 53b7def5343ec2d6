//! A connection is reset at each byte of an exchange in turn, in each direction, on either
//! side of the proxy: what arrives is whole, or is known not to be.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitpod_routing::{
    CheckedStream, ConnectError, Connection, Connector, DialTarget, HostPattern, MemoryProvider,
    OwnerToken, PortInfo, WorkspaceInfo, WorkspaceProxy,
};
use http::header::{CONNECTION, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use turmoil::net::TcpStream;

use crate::cut::{Plan, Point};
use crate::hosts::DOMAIN;
use crate::wire::{self, POD_PORT, PROXY_PORT, read_line};

const WORKSPACE: &str = "pink-panda-aaaaaaaa";

/// What both sides exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Nothing, for an answer of known length.
    Length,
    /// Nothing, for an answer in chunks.
    Chunks,
    /// Nothing, for an answer that ends with the connection.
    UntilClose,
    /// A body of known length, echoed.
    Upload,
    /// A body in chunks, echoed.
    ChunkedUpload,
    /// Bytes of another protocol, echoed.
    Tunnel,
}

const KINDS: [Kind; 6] = [
    Kind::Length,
    Kind::Chunks,
    Kind::UntilClose,
    Kind::Upload,
    Kind::ChunkedUpload,
    Kind::Tunnel,
];

const POINTS: [Point; 4] = [
    Point::ClientRead(0),
    Point::ClientWrite(0),
    Point::ServerRead(0),
    Point::ServerWrite(0),
];

/// What is sent and echoed.
const BODY: &str = "a body that must arrive as a whole, or not at all";

#[test]
fn reset_at_any_byte_of_an_exchange_shows_and_leaves_nothing_open() {
    let plan = Plan::new();
    let bodies = Bodies::default();
    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(36_000))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(1))
        .tcp_capacity(4096)
        .build();
    let (at_proxy, at_pod) = (plan.clone(), bodies.clone());
    sim.host("pod", move || pod(at_pod.clone()));
    sim.host("proxy", move || proxy(at_proxy.clone()));
    sim.client("client", client(plan, bodies));
    sim.run().unwrap();
}

/// What the server has taken for whole.
#[derive(Clone, Default)]
struct Bodies(Arc<Mutex<Vec<Bytes>>>);

async fn client(plan: Plan, bodies: Bodies) -> turmoil::Result {
    let to_ask = plan.clone();
    for kind in KINDS {
        plan.set(Point::Nowhere);
        let whole = exchange(kind).await.ok_or("nothing works")?;
        for point in POINTS {
            let mut offset = 0;
            loop {
                let point = point.at(offset);
                plan.set(point);
                let what = format!("{kind:?}, {point:?}");
                let exchanged = timeout(Duration::from_secs(30), exchange(kind)).await;
                let exchanged = exchanged.map_err(|_| format!("{what}: never ended"))?;
                if exchanged.is_some_and(|got| got != whole) {
                    return Err(format!("{what}: a part was taken for the whole").into());
                }
                for body in bodies.0.lock().unwrap().drain(..) {
                    if body != BODY && !body.is_empty() {
                        return Err(format!("{what}: the server took {body:?} for whole").into());
                    }
                }
                let was_last = !plan.was_reached();
                plan.set(Point::Nowhere);
                // Whatever broke, the next request is served.
                if exchange(Kind::Length).await.is_none() {
                    return Err(format!("{what}: nothing works after it").into());
                }
                if was_last {
                    break;
                }
                offset += 1;
            }
            if offset < 30 {
                return Err(format!("{kind:?}, {point:?} broke only up to byte {offset}").into());
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let open = to_ask.open();
    if !open.is_empty() {
        return Err(format!("left open: {open:?}").into());
    }
    Ok(())
}

/// What came back, if all of it did.
async fn exchange(kind: Kind) -> Option<String> {
    let stream = TcpStream::connect(("proxy", PROXY_PORT)).await.ok()?;
    if kind == Kind::Tunnel {
        return tunnel(stream).await;
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    tokio::spawn(connection);
    let builder = Request::builder()
        .uri(format!("/{kind:?}"))
        .header("host", host())
        .header("te", "trailers");
    let body = match kind {
        Kind::Upload => whole().boxed(),
        Kind::ChunkedUpload => in_chunks(None).boxed(),
        _ => Empty::new().map_err(|never| match never {}).boxed(),
    };
    let builder = match kind {
        Kind::Upload | Kind::ChunkedUpload => builder.method("POST"),
        _ => builder,
    };
    let response = sender.send_request(builder.body(body).ok()?).await.ok()?;
    if response.status() != 200 {
        return None;
    }
    let body = response.into_body().collect().await.ok()?;
    let sum = body
        .trailers()
        .and_then(|trailers| trailers.get("x-sum"))
        .cloned();
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Some(format!("{text}{sum:?}"))
}

fn whole() -> impl Body<Data = Bytes, Error = std::io::Error> + Send + Sync {
    Full::<Bytes>::from(BODY).map_err(|never| match never {})
}

fn in_chunks(
    last: Option<Frame<Bytes>>,
) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + Sync {
    let pieces = BODY
        .as_bytes()
        .chunks(9)
        .map(Bytes::from_static)
        .map(Frame::data);
    let frames: Vec<_> = pieces.chain(last).map(Ok).collect();
    StreamBody::new(futures_util::stream::iter(frames))
}

async fn tunnel(mut stream: TcpStream) -> Option<String> {
    let head = format!(
        "GET /Tunnel HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
        host()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    if !read_line(&mut stream)
        .await
        .ok()?
        .starts_with("HTTP/1.1 101")
    {
        return None;
    }
    while read_line(&mut stream).await.ok()? != "\r" {}
    stream.write_all(BODY.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()?;
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).await.ok()?;
    // A tunnel ends without saying that it is whole: what is in it must say so.
    (echoed.len() == BODY.len()).then_some(echoed)
}

fn host() -> String {
    format!("{POD_PORT}-{WORKSPACE}.{DOMAIN}")
}

async fn proxy(plan: Plan) -> turmoil::Result {
    let workspaces = MemoryProvider::new();
    let info = WorkspaceInfo::new(WORKSPACE.parse()?, "run-1".parse()?, OwnerToken::new("t"));
    let ports = vec![PortInfo::new(POD_PORT).public()];
    workspaces.insert(
        info.running_at(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)))
            .with_ports(ports),
    );
    let reach = Reach(plan.clone());
    let proxy = WorkspaceProxy::new(HostPattern::new(DOMAIN)?, Arc::new(workspaces))
        .with_connector(Arc::new(reach))
        // Each exchange has connections of its own, so that each can break.
        .with_forward(|forward| forward.with_max_idle(0));
    let listener = wire::listen(PROXY_PORT).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let stream = TokioIo::new(CheckedStream::new(plan.client(stream)));
        let service = TowerToHyperService::new(proxy.clone());
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new());
            let _lost = server
                .serve_connection(stream, service)
                .with_upgrades()
                .await;
        });
    }
}

#[derive(Debug)]
struct Reach(Plan);

#[async_trait]
impl Connector for Reach {
    async fn connect(&self, _: &DialTarget) -> Result<Connection, ConnectError> {
        match TcpStream::connect(("pod", POD_PORT)).await {
            Ok(stream) => Ok(Box::new(self.0.server(stream))),
            Err(why) => Err(ConnectError::Unreachable(why.into())),
        }
    }
}

/// A server that frames its answers as the path says.
async fn pod(bodies: Bodies) -> turmoil::Result {
    let listener = wire::listen(POD_PORT).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, bodies.clone()));
    }
}

async fn serve(stream: TcpStream, bodies: Bodies) {
    let service = hyper::service::service_fn(move |request| answer(request, bodies.clone()));
    let server = hyper::server::conn::http1::Builder::new();
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let _lost = connection.with_upgrades().await;
}

/// Which frames an answer has is said by the path that was asked for.
async fn answer(
    request: Request<Incoming>,
    bodies: Bodies,
) -> Result<Response<BoxBody<Bytes, std::io::Error>>, hyper::Error> {
    let kind = KINDS
        .into_iter()
        .find(|kind| request.uri().path() == format!("/{kind:?}"));
    if kind == Some(Kind::Tunnel) {
        return Ok(agree(request));
    }
    let body = request.into_body().collect().await?.to_bytes();
    bodies.0.lock().unwrap().push(body);
    Ok(match kind {
        Some(Kind::Chunks) => {
            let mut sum = HeaderMap::new();
            sum.insert("x-sum", HeaderValue::from_static("1"));
            let mut response = Response::new(in_chunks(Some(Frame::trailers(sum))).boxed());
            let names = HeaderValue::from_static("x-sum");
            response.headers_mut().insert(TRAILER, names);
            response
        }
        Some(Kind::UntilClose) => {
            let mut response = Response::new(in_chunks(None).boxed());
            *response.version_mut() = Version::HTTP_10;
            response
        }
        _ => Response::new(whole().boxed()),
    })
}

fn agree(mut request: Request<Incoming>) -> Response<BoxBody<Bytes, std::io::Error>> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
        let _reset = tokio::io::copy(&mut from, &mut to).await;
        let _reset = to.shutdown().await;
    });
    let mut response = Response::new(Full::default().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("echo"));
    response
}
