//! Who comes to a stopped workspace has it started, and is answered by it.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use gitpod_routing::{
    ConnectError, Connection, Connector, DialTarget, DirectConnector, Links, MemoryProvider,
    MemoryStarter, OwnerToken, PortInfo, PublicUrl, RunState, Scheme, SigningKey, StartError,
    Starter, WakeLimits, WakePolicy, Wakes, WorkspaceInfo, WorkspaceProxy,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Starts a run with another token; the server in it listens a little later.
#[derive(Clone, Debug)]
struct Slow {
    workspaces: MemoryProvider,
    starts: Arc<AtomicUsize>,
}

const NEXT_TOKEN: &str = "token-of-the-next-run";

#[async_trait]
impl Starter for Slow {
    async fn start(&self, info: &WorkspaceInfo) -> Result<(), StartError> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        let mut next = info.clone().running_at([127, 0, 0, 1].into());
        next.instance = instance("i-2");
        next.owner_token = OwnerToken::new(NEXT_TOKEN);
        next.state = RunState::Starting;
        self.workspaces.insert(next.clone());
        let workspaces = self.workspaces.clone();
        tokio::spawn(async move {
            tokio::time::sleep(STARTING).await;
            next.state = RunState::Running;
            workspaces.insert(next);
        });
        Ok(())
    }
}

/// What the workspace takes to start: part of what is tested, not a wait for something.
const STARTING: Duration = Duration::from_millis(200);

/// Dials only at the third try: a server that binds its port late.
#[derive(Debug)]
struct Late(DirectConnector, AtomicUsize);

#[async_trait]
impl Connector for Late {
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError> {
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0..2 => Err(ConnectError::NotListening),
            _ => self.0.connect(target).await,
        }
    }
}

/// Has a server behind it once it is told so.
#[derive(Debug)]
struct Closed(DirectConnector, Arc<AtomicBool>);

#[async_trait]
impl Connector for Closed {
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError> {
        match self.1.load(Ordering::SeqCst) {
            false => Err(ConnectError::NotListening),
            true => self.0.connect(target).await,
        }
    }
}

struct Stand {
    rig: Rig,
    starts: Arc<AtomicUsize>,
    port: u16,
}

impl Stand {
    async fn new() -> Self {
        Self::changed(WakeLimits::new(), |proxy| proxy).await
    }

    /// A stopped workspace with one public port whose server says what it was sent.
    async fn changed(
        limits: WakeLimits,
        change: impl FnOnce(WorkspaceProxy) -> WorkspaceProxy,
    ) -> Self {
        let server = upstream(|request: Request<Incoming>| async move {
            let said = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Full::new(Bytes::from(format!("{said} {}", body.len()))))
        })
        .await;
        let workspaces = MemoryProvider::new();
        let starts = Arc::new(AtomicUsize::new(0));
        let starter = Slow {
            workspaces: workspaces.clone(),
            starts: Arc::clone(&starts),
        };
        let wakes = Wakes::new(Arc::new(starter), Arc::new(workspaces.clone()));
        let wakes = wakes.with_limits(limits);
        let connector = DirectConnector::new().with_loopback_allowed();
        let links = Links::new(
            SigningKey::from_bytes([5; 32]),
            PublicUrl::new(Scheme::Http, pattern()),
        );
        let proxy = WorkspaceProxy::new(pattern(), Arc::new(workspaces.clone()))
            .with_policy(gitpod_routing::AccessPolicy::new(pattern(), "example.com"))
            .with_connector(Arc::new(connector))
            .with_links(links)
            .with_wakes(wakes);
        let mut info = info(&[server.port()]);
        info.state = RunState::Stopped;
        info.address = None;
        workspaces.insert(info);
        let rig = Rig {
            address: serve_proxy(change(proxy)).await,
            workspaces,
            activity: gitpod_routing::MemoryActivity::new(),
        };
        let port = server.port();
        Self { rig, starts, port }
    }

    fn change(&self, change: impl FnOnce(WorkspaceInfo) -> WorkspaceInfo) {
        let known = self.rig.workspaces.get(&id()).unwrap();
        self.rig
            .workspaces
            .insert(change(WorkspaceInfo::clone(&known)));
    }

    async fn ask(&self, method: &str, fields: &str, body: &str) -> String {
        let head = format!(
            "{method} /a?b HTTP/1.1\nhost: {}\nconnection: close\n{fields}\n{body}",
            host(self.port)
        );
        soon("an answer", self.rig.raw(&head)).await
    }

    fn runs(&self) -> bool {
        let known = self.rig.workspaces.get(&id());
        known.is_some_and(|info| info.state == RunState::Running)
    }

    fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }
}

fn owner() -> String {
    format!("cookie: _example_com_ws_i-1_owner_={TOKEN}\n")
}

#[tokio::test]
async fn attack_36_two_hundred_requests_at_once_start_it_once_and_are_all_answered() {
    let stand = Stand::new().await;
    let owner = owner();
    let all = (0..200).map(|_| stand.ask("GET", &owner, ""));
    for answer in join_all(all).await {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("GET /a?b 0"), "{answer}");
    }
    assert_eq!(stand.starts(), 1);
}

#[tokio::test]
async fn request_goes_on_with_its_body_as_if_nothing_had_happened() {
    let stand = Stand::new().await;
    let body = "x".repeat(100_000);
    let fields = format!("{}content-length: {}\n", owner(), body.len());
    let answer = stand.ask("POST", &fields, &body).await;
    assert!(answer.ends_with("POST /a?b 100000"), "{answer}");
}

#[tokio::test]
async fn websocket_is_held_as_well() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = crlf("HTTP/1.1 101 x\nconnection: upgrade\nupgrade: websocket\n\nhello");
        stream.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let stand = Stand::new().await;
    stand.change(|info| info.with_ports(vec![PortInfo::new(server.port()).public()]));
    let mut stream = TcpStream::connect(stand.rig.address).await.unwrap();
    let head = format!(
        "GET /ws HTTP/1.1\nhost: {}\n{}connection: upgrade\nupgrade: websocket\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13\n\n",
        host(server.port()),
        owner()
    );
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    let answer = soon("101", read_head(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    soon("hello", read_text(&mut stream, "hello")).await;
    assert_eq!(stand.starts(), 1);
}

#[tokio::test]
async fn server_that_listens_late_after_a_start_is_waited_for() {
    let connector = DirectConnector::new().with_loopback_allowed();
    let late = Arc::new(Late(connector, AtomicUsize::new(0)));
    let stand = Stand::changed(WakeLimits::new(), |proxy| proxy.with_connector(late)).await;
    let answer = stand.ask("GET", &owner(), "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn those_who_wait_for_a_server_are_counted_as_well() {
    let connector = DirectConnector::new().with_loopback_allowed();
    let is_open = Arc::<AtomicBool>::default();
    let closed = Arc::new(Closed(connector, Arc::clone(&is_open)));
    let limits = WakeLimits::new().with_held_per_workspace(3);
    let stand = Stand::changed(limits, |proxy| proxy.with_connector(closed)).await;
    let owner = owner();
    let (stand, owner) = (&stand, &owner);
    let mut answers: FuturesUnordered<_> = (0..21)
        .map(|number| async move {
            while number > 0 && !stand.runs() {
                tokio::task::yield_now().await;
            }
            stand.ask("GET", owner, "").await
        })
        .collect();
    for _ in 0..18 {
        let answer = answers.next().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("Too many requests wait"), "{answer}");
    }
    is_open.store(true, Ordering::SeqCst);
    while let Some(answer) = answers.next().await {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// Whether a page loads itself again in a second or two.
fn follows(page: &str) -> bool {
    let again = |seconds| format!(r#"http-equiv="refresh" content="{seconds}""#);
    page.contains(&again(1)) || page.contains(&again(2))
}

#[tokio::test]
async fn person_sees_a_page_that_follows_until_a_server_listens() {
    let stand = Stand::new().await;
    stand.change(|info| info.with_ports(vec![PortInfo::new(1), PortInfo::new(stand.port)]));
    let fields = format!("{}accept: text/html\n", owner());
    let ask = |port: u16| {
        let head = format!(
            "GET / HTTP/1.1\nhost: {}\nconnection: close\n{fields}\n",
            host(port)
        );
        let (rig, head) = (&stand.rig, head);
        async move { soon("an answer", rig.raw(&head)).await }
    };
    // The one who has it started, and whoever looks again soon.
    for _ in 0..2 {
        let page = ask(1).await;
        assert!(page.starts_with("HTTP/1.1 503"), "{page}");
        assert!(page.contains("Port 1 is not open yet"), "{page}");
        assert!(follows(&page), "{page}");
    }
    assert!(ask(stand.port).await.starts_with("HTTP/1.1 200"));
    assert_eq!(stand.starts(), 1);
}

#[tokio::test]
async fn attack_33_who_may_not_come_or_only_looks_ahead_starts_nothing() {
    let stand = Stand::new().await;
    let cases = [
        ("GET", String::new(), "503", "not-running"), // a guest of a public port
        (
            "GET",
            "x-gitpod-owner-token: bad\n".into(),
            "503",
            "not-running",
        ),
        (
            "GET",
            format!("{}sec-purpose: prefetch\n", owner()),
            "503",
            "not-running",
        ),
        (
            "GET",
            format!("{}sec-purpose: prefetch;prerender\n", owner()),
            "503",
            "not-running",
        ),
        ("OPTIONS", owner(), "503", "not-running"),
        (
            "POST",
            format!("{}sec-fetch-site: same-site\ncontent-length: 0\n", owner()),
            "503",
            "not-running",
        ),
        (
            "POST",
            format!("{}origin: http://evil.test\ncontent-length: 0\n", owner()),
            "503",
            "not-running",
        ),
        (
            "POST",
            format!("{}content-length: 1048577\n", owner()),
            "413",
            "wake-body-too-long",
        ),
    ];
    for (method, fields, status, reason) in cases {
        let fields = format!("{fields}accept: application/json\n");
        let answer = stand.ask(method, &fields, "").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{fields}: {answer}"
        );
        assert!(answer.contains(reason), "{fields}: {answer}");
    }
    stand.change(|info| info.with_wake(WakePolicy::Never));
    let answer = stand.ask("GET", &owner(), "").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    stand.change(|info| info.with_wake(WakePolicy::Owner).with_ports(Vec::new()));
    let answer = stand.ask("GET", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(stand.starts(), 0);
}

#[tokio::test]
async fn anyone_may_start_what_is_for_anyone() {
    let stand = Stand::new().await;
    stand.change(|info| info.with_wake(WakePolicy::Anyone));
    let answer = stand.ask("GET", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(stand.starts(), 1);
}

#[tokio::test]
async fn browser_sees_a_page_that_follows_and_comes_in_with_the_cookie_it_had() {
    let stand = Stand::new().await;
    // A start that takes as long as it likes.
    let workspaces = stand.rig.workspaces.clone();
    let starter = MemoryStarter::new(workspaces.clone(), [127, 0, 0, 1].into());
    let starter = starter.reaching(RunState::Starting);
    let wakes = Wakes::new(Arc::new(starter.clone()), Arc::new(workspaces.clone()));
    let links = Links::new(
        SigningKey::from_bytes([5; 32]),
        PublicUrl::new(Scheme::Http, pattern()),
    );
    let connector = DirectConnector::new().with_loopback_allowed();
    let proxy = WorkspaceProxy::new(pattern(), Arc::new(workspaces.clone()))
        .with_policy(gitpod_routing::AccessPolicy::new(pattern(), "example.com"))
        .with_connector(Arc::new(connector))
        .with_links(links)
        .with_wakes(wakes);
    let stand = Stand {
        rig: Rig {
            address: serve_proxy(proxy).await,
            ..stand.rig
        },
        ..stand
    };
    let browser = format!("{}accept: text/html\nsec-fetch-mode: navigate\n", owner());
    let browser = browser + "sec-fetch-dest: document\nsec-fetch-site: same-origin\n";
    // Somebody opens it; then the page reloads itself.
    for person in ["sec-fetch-user: ?1\n", ""] {
        let page = stand.ask("GET", &format!("{browser}{person}"), "").await;
        assert!(page.starts_with("HTTP/1.1 503"), "{page}");
        assert!(page.contains("Workspace is starting"), "{page}");
        assert!(follows(&page), "{page}");
    }
    assert_eq!(starter.starts(), 1);
    stand.change(|mut info| {
        info.state = RunState::Running;
        info.owner_token = OwnerToken::new(NEXT_TOKEN);
        info.with_ports(vec![PortInfo::new(stand.port)])
    });
    let answer = stand.ask("GET", &browser, "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let cookie = format!("set-cookie: _example_com_ws_run-1_owner_={NEXT_TOKEN}; ");
    assert!(answer.contains(&cookie), "{answer}");
    // The cookie of another run is as good as none.
    let other = browser.replace("i-1", "i-0");
    let answer = stand.ask("GET", &other, "").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}
