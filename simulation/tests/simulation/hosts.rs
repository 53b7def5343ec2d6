//! The programs, one per host, put together as our own servers are.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitpod_bridge::{Bridge, Controller, GrpcSource, MemoryPublisher, MemoryStore, Origin, Relay};
use gitpod_lifecycle::grpc::{RemoteActivity, RemoteWorkspaces, WorkspaceManagerService, client};
use gitpod_lifecycle::{Adapters, Clock, Manager, MemoryContent, MemoryRecords, Settings};
use gitpod_routing::{CheckedStream, HostPattern, WorkspaceProxy};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use turmoil::net::TcpStream;

use crate::kept::Kept;
use crate::platform::{Platform, Program};
use crate::reach::{Asks, Reach};
use crate::wire::{self, MANAGER_PORT, POD_PORT, PROXY_PORT, read_line};

pub(crate) const DOMAIN: &str = "ws.example.com";
/// Name of the cluster in the store.
pub(crate) const REGION: &str = "sim";

/// What is on disks and in databases, and outlives every host.
#[derive(Clone, Debug)]
pub(crate) struct Disks {
    pub(crate) platform: Platform,
    pub(crate) records: MemoryRecords,
    pub(crate) content: MemoryContent,
    pub(crate) store: MemoryStore,
    pub(crate) publisher: MemoryPublisher,
}

impl Disks {
    pub(crate) fn new() -> Self {
        Self {
            platform: Platform::new(),
            records: MemoryRecords::new(),
            content: MemoryContent::new(),
            store: MemoryStore::new().with_clock(now),
            publisher: MemoryPublisher::new(1 << 20),
        }
    }
}

/// What time it is in the simulation, whichever host asks.
pub(crate) fn now() -> Timestamp {
    let since = turmoil::sim_elapsed().unwrap_or_default();
    let since = SignedDuration::try_from(since).unwrap();
    "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap() + since
}

/// The manager, again from what it had recorded.
pub(crate) async fn manager(disks: Disks) -> turmoil::Result {
    let adapters = Adapters::new(disks.records, disks.platform, disks.content);
    let url = format!("https://{{{{ .Prefix }}}}.{DOMAIN}");
    let port_url = format!("https://{{{{ .WorkspacePort }}}}-{{{{ .Prefix }}}}.{DOMAIN}");
    let settings = Settings::new(url.parse()?, port_url.parse()?);
    let manager = Manager::open(adapters, settings, Clock::of_runtime(now())).await?;
    let service = WorkspaceManagerService::new(manager);
    let listener = wire::listen(MANAGER_PORT).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server
                .timer(TokioTimer::new())
                .keep_alive_interval(Duration::from_secs(10));
            let _lost = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The proxy. It has nothing but what the manager tells it.
pub(crate) async fn proxy(platform: Platform, asks: Asks) -> turmoil::Result {
    let channel = wire::manager();
    let workspaces = RemoteWorkspaces::new();
    let (activity, reports) = RemoteActivity::new(client::over(channel.clone()));
    let following = workspaces.clone();
    tokio::spawn(async move { following.follow(client::over(channel)).await });
    tokio::spawn(reports);
    let proxy = WorkspaceProxy::new(HostPattern::new(DOMAIN)?, Arc::new(workspaces))
        .with_connector(Arc::new(Reach::new(platform.clone(), asks)))
        .with_activity(Arc::new(activity))
        .with_forward(|forward| {
            forward
                .with_connect_timeout(Duration::from_secs(5))
                .with_idle_timeout(IDLE)
                .with_body_idle_timeout(Duration::from_secs(20))
        });
    let listener = wire::listen(PROXY_PORT).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let stream = Kept::new(stream, platform.clone());
        let service = TowerToHyperService::new(proxy.clone());
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30));
            let stream = TokioIo::new(CheckedStream::new(stream));
            let _lost = server
                .serve_connection(stream, service)
                .with_upgrades()
                .await;
        });
    }
}

/// How long the proxy keeps connections to pods.
pub(crate) const IDLE: Duration = Duration::from_secs(10);

/// The bridge, from the manager's statuses into the database.
pub(crate) async fn bridge(disks: Disks) -> turmoil::Result {
    let source = Arc::new(GrpcSource::new(client::over(wire::manager())));
    let store = Arc::new(disks.store);
    let stop = CancellationToken::new();
    let bridge = Bridge::new(source.clone(), store.clone(), Origin::new(REGION));
    let relay = Relay::new(store.clone(), Arc::new(disks.publisher));
    let controller = Controller::new(source, store, REGION);
    tokio::join!(
        bridge.run(stop.clone()),
        relay.run(stop.clone()),
        controller.run(stop)
    );
    Ok(())
}

/// A machine on which a program runs, or another, or none.
pub(crate) async fn pod(platform: Platform, name: &'static str) -> turmoil::Result {
    let listener = wire::listen(POD_PORT).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let mut runs = platform.runs(name);
        let Some(program) = runs.borrow_and_update().clone() else {
            continue; // nothing listens
        };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = runs.changed() => {} // a program's connections end with it
                () = serve(stream, program) => {}
            }
        });
    }
}

async fn serve(mut stream: TcpStream, program: Program) {
    let Ok(asked) = read_line(&mut stream).await else {
        return;
    };
    let is_here = asked == program.instance || asked == "anybody";
    let answer: &[u8] = if is_here { b"here\n" } else { b"gone\n" };
    if stream.write_all(answer).await.is_err() || !is_here {
        return;
    }
    let service = service_fn(|request| answer_as(program.clone(), request));
    let server = hyper::server::conn::http1::Builder::new();
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let _lost = connection.with_upgrades().await;
}

/// Says who answers, and what it was sent.
async fn answer_as(
    program: Program,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut text = format!("{} {} ", program.workspace, program.instance);
    if request.headers().contains_key(UPGRADE) {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgraded.await {
                echo(TokioIo::new(upgraded), text).await;
            }
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("echo"));
        return Ok(response);
    }
    let slow = request.headers().get("x-slow");
    let slow = slow.and_then(|value| value.to_str().ok()?.parse().ok());
    tokio::time::sleep(Duration::from_millis(slow.unwrap_or(0))).await;
    let body = request.into_body().collect().await?.to_bytes();
    text.push_str(&String::from_utf8_lossy(&body));
    Ok(Response::new(Full::from(text)))
}

async fn echo(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, who: String) {
    let mut bytes = [0; 256];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let sent = async {
            stream.write_all(who.as_bytes()).await?;
            stream.write_all(&bytes[..read]).await?;
            stream.write_all(b"\n").await
        };
        if sent.await.is_err() {
            return;
        }
    }
}
