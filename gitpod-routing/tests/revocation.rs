//! What is open ends within a second of losing its permission, and nothing else does.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gitpod_routing::{
    DirectConnector, Links, Lookup, MemoryProvider, NewShare, OwnerToken, PodPorts, PortInfo,
    PublicUrl, RunState, Scheme, SigningKey, WorkspaceId, WorkspaceInfo, WorkspaceInfoProvider,
    WorkspaceProxy,
};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// The ways to keep something open, each with the head of its answer if there is one.
const STREAMS: [(&str, &str, &str); 4] = [
    (
        "websocket",
        "GET /ws HTTP/1.1\nconnection: upgrade\nupgrade: websocket\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13\n",
        "HTTP/1.1 101",
    ),
    ("events", "GET /events HTTP/1.1\n", "HTTP/1.1 200"),
    ("flood", "GET /flood HTTP/1.1\n", "HTTP/1.1 200"),
    (
        "upload",
        "POST /upload HTTP/1.1\ncontent-length: 1000000000\n",
        "",
    ),
];

/// Answers each of [`STREAMS`] and keeps it open.
struct Server {
    address: SocketAddr,
    /// One for each upload that has arrived.
    uploads: Arc<Semaphore>,
}

impl Server {
    async fn new() -> Self {
        let uploads = Arc::new(Semaphore::new(0));
        let arrived = Arc::clone(&uploads);
        let address = raw_upstream(move |stream| serve(stream, Arc::clone(&arrived))).await;
        Self { address, uploads }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn serve(mut stream: TcpStream, uploads: Arc<Semaphore>) {
    let head = read_head(&mut stream).await;
    if head.starts_with("POST") {
        uploads.add_permits(1);
    }
    let answer = match head.split(' ').nth(1).unwrap_or_default() {
        "/ws" => "HTTP/1.1 101 x\nconnection: upgrade\nupgrade: websocket\n\n",
        "/events" => "HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\ndata: 1\n\n",
        "/flood" => "HTTP/1.1 200 OK\ncontent-length: 1000000000000\n\n",
        _ => "",
    };
    let _cut = stream.write_all(crlf(answer).as_bytes()).await;
    if head.starts_with("GET /flood") {
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    }
    let mut rest = vec![0; 65_536];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

struct Open {
    what: &'static str,
    stream: TcpStream,
}

/// Opens one of [`STREAMS`] with `fields`, and waits until its answer has begun.
async fn open(proxy: SocketAddr, server: &Server, number: usize, fields: &str) -> Open {
    let (what, head, answer) = STREAMS[number];
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    let request = crlf(&format!("{head}host: {}\n{fields}\n", host(server.port())));
    stream.write_all(request.as_bytes()).await.unwrap();
    if answer.is_empty() {
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        soon(what, server.uploads.acquire()).await.unwrap().forget();
    } else {
        let head = soon(what, read_head(&mut stream)).await;
        assert!(head.starts_with(answer), "{what}: {head}");
    }
    Open { what, stream }
}

async fn open_all(proxy: SocketAddr, server: &Server, fields: &str) -> Vec<Open> {
    let mut all = Vec::new();
    for number in 0..STREAMS.len() {
        all.push(open(proxy, server, number, fields).await);
    }
    all
}

impl Open {
    /// Whether it ends within a second; whatever comes before is read.
    async fn ends(&mut self) -> bool {
        let mut rest = vec![0; 65_536];
        let end = async { while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(Duration::from_secs(1), end)
            .await
            .is_ok()
    }
}

async fn expect(all: &mut [Open], end: bool, who: &str) {
    for open in all {
        assert_eq!(open.ends().await, end, "{} of {who}", open.what);
    }
}

fn owner() -> String {
    format!("x-gitpod-owner-token: {TOKEN}\n")
}

#[tokio::test]
async fn attack_35_closing_a_port_ends_what_guests_have_open_and_not_what_the_owner_has() {
    let server = Server::new().await;
    let rig = Rig::new(server.address).await;
    let mut guest = open_all(rig.address, &server, "").await;
    let mut mine = open_all(rig.address, &server, &owner()).await;
    rig.workspaces
        .insert(info(&[]).with_ports(vec![PortInfo::new(server.port())]));
    expect(&mut guest, true, "a guest").await;
    expect(&mut mine, false, "the owner").await;
}

#[tokio::test]
async fn attack_35_new_token_and_stop_and_deletion_end_what_the_owner_has_open() {
    let server = Server::new().await;
    let changes: [fn(&MemoryProvider, WorkspaceInfo); 3] = [
        |workspaces, mut info| {
            info.owner_token = OwnerToken::new("another");
            workspaces.insert(info);
        },
        |workspaces, mut info| {
            info.state = RunState::Stopping;
            workspaces.insert(info);
        },
        |workspaces, info| workspaces.remove(&info.id),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let rig = Rig::new(server.address).await;
        let mut mine = open_all(rig.address, &server, &owner()).await;
        change(&rig.workspaces, info(&[server.port()]));
        expect(&mut mine, true, &format!("change {number}")).await;
    }
}

#[tokio::test]
async fn attack_35_request_that_waits_for_its_answer_ends_with_its_permission() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending().await
    })
    .await;
    let rig = Rig::new(server).await;
    let head = crlf(&format!(
        "GET / HTTP/1.1\nhost: {}\n\n",
        host(server.port())
    ));
    let mut guest = TcpStream::connect(rig.address).await.unwrap();
    guest.write_all(head.as_bytes()).await.unwrap();
    rig.workspaces
        .insert(info(&[]).with_ports(vec![PortInfo::new(server.port())]));
    let answer = soon("an answer", read_head(&mut guest)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

/// What happens to the workspace meanwhile.
type Change = fn(&MemoryProvider, WorkspaceInfo);

#[tokio::test]
async fn whoever_waits_for_an_answer_is_told_why_it_is_no_longer_for_her() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending().await
    })
    .await;
    let changes: [(&str, Change); 4] = [
        ("403", |workspaces, mut info| {
            info.owner_token = OwnerToken::new("another");
            workspaces.insert(info);
        }),
        ("503", |workspaces, mut info| {
            info.state = RunState::Stopping;
            workspaces.insert(info);
        }),
        ("503", |workspaces, mut info| {
            info.instance = instance("i-2");
            workspaces.insert(info);
        }),
        ("404", |workspaces, info| workspaces.remove(&info.id)),
    ];
    for (number, (status, change)) in changes.into_iter().enumerate() {
        let rig = Rig::new(server).await;
        let (host, owner) = (host(server.port()), owner());
        let head = format!("GET / HTTP/1.1\nhost: {host}\n{owner}\n");
        let mut mine = TcpStream::connect(rig.address).await.unwrap();
        mine.write_all(crlf(&head).as_bytes()).await.unwrap();
        // It is on its way when it counts as use.
        while rig.activity.uses_of(&info(&[])) == 0 {
            tokio::task::yield_now().await;
        }
        change(&rig.workspaces, info(&[server.port()]));
        let answer = soon("an answer", read_head(&mut mine)).await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "change {number}: {answer}");
    }
}

#[tokio::test]
async fn attack_35_unsharing_ends_what_its_visitors_have_open_and_not_those_of_others() {
    let server = Server::new().await;
    let urls = PublicUrl::new(Scheme::Http, pattern());
    let links = Links::new(SigningKey::from_bytes([3; 32]), urls);
    let rig = Rig::changed(server.address, |proxy| proxy.with_links(links.clone())).await;
    rig.workspaces
        .insert(info(&[]).with_ports(vec![PortInfo::new(server.port())]));
    let mut visits = Vec::new();
    for _ in 0..2 {
        let wish = NewShare::new(id(), Duration::from_secs(60));
        let (share, url) = links.share(wish, SystemTime::now()).await.unwrap();
        let path = url.expose().split_once("/.gitpod").unwrap().1;
        let head =
            format!("GET /.gitpod{path} HTTP/1.1\nhost: {ID}.{DOMAIN}\nconnection: close\n\n");
        let answer = rig.raw(&head).await;
        let cookie = answer.split_once("set-cookie: ").unwrap().1;
        let cookie = format!("cookie: {}\n", cookie.split(';').next().unwrap());
        visits.push((share.id, open_all(rig.address, &server, &cookie).await));
    }
    let (second_id, mut second) = visits.pop().unwrap();
    let (first_id, mut first) = visits.pop().unwrap();
    assert!(links.revoke(&id(), first_id).await.unwrap());
    expect(&mut first, true, "the first share").await;
    expect(&mut second, false, "the second share").await;
    assert_eq!(
        links.shares(&id(), SystemTime::now()).await.unwrap()[0].id,
        second_id
    );
}

/// Answers late, and never says that something has changed.
#[derive(Debug)]
struct Distant(MemoryProvider);

#[async_trait]
impl WorkspaceInfoProvider for Distant {
    async fn workspace_info(&self, id: &WorkspaceId) -> Lookup {
        tokio::task::yield_now().await;
        Ok(self.0.get(id))
    }
}

#[tokio::test]
async fn attack_35_provider_that_tells_of_no_changes_is_followed_as_well() {
    let server = Server::new().await;
    let workspaces = MemoryProvider::new();
    workspaces.insert(info(&[server.port()]));
    let mut ports = PodPorts::new();
    ports.ide = server.port();
    let connector = DirectConnector::new()
        .with_loopback_allowed()
        .with_ports(ports);
    let distant = Arc::new(Distant(workspaces.clone()));
    let proxy = WorkspaceProxy::new(pattern(), distant).with_connector(Arc::new(connector));
    let address = serve_proxy(proxy).await;
    let mut guest = open_all(address, &server, "").await;
    workspaces.remove(&id());
    expect(&mut guest, true, "a guest").await;
}
