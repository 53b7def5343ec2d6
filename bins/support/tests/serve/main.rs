//! The listener: whoever takes too much is sent away, everybody else is served, and the end is a tidy one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ends;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitpod_routing::{CheckedStream, Stay};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use support::limits::Limits;
use support::serve::{Ending, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::service_fn;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
struct Rig {
    address: SocketAddr,
    /// Lets requests for `/slow` end.
    slow: Arc<Notify>,
    /// What requests for `/upgrade` have become: a socket, and how long it may stay.
    upgraded: mpsc::UnboundedReceiver<Option<(TcpStream, Stay)>>,
    end: Option<oneshot::Sender<Ending>>,
    ended: JoinHandle<()>,
}

impl Rig {
    async fn with(limits: &[&str]) -> Self {
        Self::draining(limits, PATIENCE).await
    }

    async fn draining(limits: &[&str], drain: Duration) -> Self {
        let mut set = Limits::new();
        limits.iter().for_each(|limit| set.set(limit).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = Arc::new(Notify::new());
        let (upgraded, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::clone(&slow);
        let service = service_fn(move |request: Request<Incoming>| {
            let (waiting, upgraded) = (Arc::clone(&waiting), upgraded.clone());
            async move { Ok::<_, Infallible>(answer(request, &waiting, upgraded).await) }
        });
        let (end, ending) = oneshot::channel();
        let server = Server::with_limits(&set).with_drain(drain);
        let ended = tokio::spawn(
            server.serve_until(listener.into(), service, async { ending.await.unwrap() }),
        );
        Self {
            address,
            slow,
            upgraded: receiver,
            end: Some(end),
            ended,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A request over a connection of its own: all of the answer.
    async fn get(&self, path: &str) -> String {
        let mut stream = self.connect().await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        rest_of(&mut stream).await
    }

    /// Another tenant, whom nothing of an attack may reach.
    async fn assert_served(&self, times: usize) {
        for _ in 0..times {
            let answer = self.get("/").await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        }
    }

    fn end(&mut self, ending: Ending) {
        self.end.take().unwrap().send(ending).unwrap();
    }
}

async fn answer(
    mut request: Request<Incoming>,
    slow: &Notify,
    upgraded: mpsc::UnboundedSender<Option<(TcpStream, Stay)>>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("ok"));
    match request.uri().path() {
        "/slow" => slow.notified().await,
        "/upgrade" => {
            let stay = request.extensions_mut().remove::<Stay>().unwrap();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let parts = upgrade
                    .await
                    .unwrap()
                    .downcast::<TokioIo<CheckedStream<TcpStream>>>();
                let socket = parts
                    .ok()
                    .map(|parts| (parts.io.into_inner().into_inner(), stay));
                upgraded.send(socket).unwrap();
            });
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *response.body_mut() = Full::default();
            response
                .headers_mut()
                .insert("upgrade", "x".parse().unwrap());
            response
                .headers_mut()
                .insert("connection", "upgrade".parse().unwrap());
        }
        _ => {}
    }
    response
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

/// Reads one answer that says how long it is.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\nok") {
        let mut byte = [0];
        timeout(PATIENCE, stream.read_exact(&mut byte))
            .await
            .unwrap()
            .unwrap();
        text.push(byte[0].into());
    }
    text
}

const UPGRADE: &[u8] =
    b"GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";

/// As the proxy needs it to move bytes without copying them.
#[tokio::test]
async fn upgraded_connection_is_known_as_the_socket_that_it_is() {
    let mut rig = Rig::with(&[]).await;
    let mut client = rig.connect().await;
    client.write_all(UPGRADE).await.unwrap();
    let (mut socket, _stay) = rig.upgraded.recv().await.unwrap().unwrap();
    socket.write_all(b"hello").await.unwrap();
    drop(socket);
    assert!(rest_of(&mut client).await.ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn attack_53_half_open_connections_take_places_from_each_other_and_from_nobody_else() {
    let rig = Rig::with(&["connections=20"]).await;
    let mut attackers = Vec::new();
    for number in 0..400 {
        let mut attacker = rig.connect().await;
        match number % 4 {
            0 => {}                                       // says nothing
            1 => attacker.write_all(b"P").await.unwrap(), // could become HTTP/2
            2 => attacker.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap(),
            _ => {
                attacker
                    .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    .await
                    .unwrap();
                one_answer(&mut attacker).await; // was of use, and stays
            }
        }
        if number % 20 == 0 {
            rig.assert_served(1).await;
        }
        attackers.push(attacker);
    }
    rig.assert_served(20).await;
    let mut open = 0;
    for attacker in &mut attackers {
        let mut byte = [0];
        match timeout(Duration::from_millis(1), attacker.read(&mut byte)).await {
            Err(_) => open += 1,
            Ok(Ok(0) | Err(_)) => {}
            Ok(Ok(_)) => panic!("nobody has asked"),
        }
    }
    assert!(open <= 20, "{open} are held");
}

#[tokio::test]
async fn connection_on_which_something_is_asked_keeps_its_place() {
    let rig = Rig::with(&["connections=2"]).await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..20 {
        drop(rig.connect().await);
        rig.assert_served(1).await;
    }
    rig.slow.notify_one();
    assert!(one_answer(&mut busy).await.contains("200 OK"));
}

#[tokio::test]
async fn tunnels_are_connections_as_well() {
    let mut rig = Rig::with(&["connections=2"]).await;
    let mut client = rig.connect().await;
    client.write_all(UPGRADE).await.unwrap();
    let tunnel = rig.upgraded.recv().await.unwrap();
    let mut silent = rig.connect().await;
    rig.assert_served(1).await; // in the place of the silent one
    assert_eq!(rest_of(&mut silent).await, "");
    drop(tunnel);
    assert!(rest_of(&mut client).await.starts_with("HTTP/1.1 101"));
}

#[tokio::test]
async fn attack_53_one_source_has_only_so_many_connections() {
    let rig = Rig::with(&["connections-per-local-source=2"]).await;
    let _two = (rig.connect().await, rig.connect().await);
    let mut third = rig.connect().await;
    assert_eq!(rest_of(&mut third).await, "");
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut neighbour = elsewhere.connect(rig.address).await.unwrap();
    neighbour
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(one_answer(&mut neighbour).await.contains("200 OK"));
}

#[tokio::test]
async fn requests_are_limited_on_all_connections_together() {
    let rig = Rig::with(&["requests=1"]).await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let refused = loop {
        let answer = rig.get("/").await;
        if !answer.contains("200 OK") {
            break answer;
        }
    };
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: "));
    rig.slow.notify_one();
    one_answer(&mut busy).await;
    while !rig.get("/").await.contains("200 OK") {}
}

#[tokio::test]
async fn attack_21_heads_have_so_many_fields_and_bytes_and_so_much_time() {
    let rig = Rig::with(&["head-fields=10", "head-bytes=8KiB", "head-time=200ms"]).await;
    let with = async |fields: String| {
        let mut stream = rig.connect().await;
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        rest_of(&mut stream).await
    };
    assert!(
        with("x: y\r\n".repeat(8))
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        with("x: y\r\n".repeat(9))
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    let long = |bytes| format!("x: {}\r\n", "y".repeat(bytes));
    assert!(with(long(6000)).await.starts_with("HTTP/1.1 200 "));
    assert!(with(long(9000)).await.starts_with("HTTP/1.1 431 "));
    let mut slow = rig.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert!(!rest_of(&mut slow).await.contains("200"));
}

/// Frames of HTTP/2: RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM_AND_HEADERS: u8 = 5;
/// `GET http /` and `:authority: a`, in HPACK without its table.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

/// Sends what `more` makes, again and again, until the server has had enough. Tells how many
/// bytes that took, and its last words.
async fn flood(rig: &Rig, mut more: impl FnMut(u32) -> Vec<u8>) -> (usize, Vec<u8>) {
    let (mut from, mut to) = rig.connect().await.into_split();
    let said = tokio::spawn(async move {
        let mut said = Vec::new();
        let _reset = from.read_to_end(&mut said).await;
        said
    });
    to.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    to.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut sent = 0;
    for number in 0.. {
        let bytes = more(number);
        sent += bytes.len();
        if to.write_all(&bytes).await.is_err() || said.is_finished() {
            break;
        }
        assert!(sent < 64 << 20, "the flood goes on and on");
    }
    (sent, timeout(PATIENCE, said).await.unwrap().unwrap())
}

/// How a GOAWAY with ENHANCE_YOUR_CALM says why.
fn says(said: &[u8], why: &str) -> bool {
    said.windows(why.len()).any(|words| words == why.as_bytes())
}

#[tokio::test]
async fn attack_21_rapid_resets_end_their_connection_and_no_other() {
    let rig = Rig::with(&[]).await;
    let reset = |number: u32| {
        let stream = number * 2 + 1;
        let cancel = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [frame(HEADERS, END_STREAM_AND_HEADERS, stream, GET), cancel].concat()
    };
    let attack = flood(&rig, |number| {
        (0..100)
            .flat_map(|some| reset(number * 100 + some))
            .collect()
    });
    let ((_, said), ()) = tokio::join!(attack, rig.assert_served(50));
    assert!(
        said.is_empty() || says(&said, "too_many_resets"),
        "{said:?}"
    );
    rig.assert_served(1).await;
}

#[tokio::test]
async fn attack_21_continuation_floods_end_their_connection_and_no_other() {
    let rig = Rig::with(&[]).await;
    let attack = flood(&rig, |number| match number {
        0 => frame(HEADERS, 1, 1, GET),
        _ => frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(200)),
    });
    let ((sent, said), ()) = tokio::join!(attack, rig.assert_served(50));
    assert!(sent < 16 << 20, "{sent} bytes of one head were taken");
    assert!(said.is_empty() || says(&said, "too_many_continuations") || said.len() > 20);
    rig.assert_served(1).await;
}

#[tokio::test]
async fn streams_of_a_connection_are_limited() {
    let rig = Rig::with(&["streams=3"]).await;
    let mut client = rig.connect().await;
    let slow = [
        &[0x82, 0x86, 0x04, 5],
        b"/slow".as_slice(),
        &[0x41, 1, b'a'],
    ]
    .concat();
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    said.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in [1, 3, 5, 7] {
        said.extend(frame(HEADERS, END_STREAM_AND_HEADERS, stream, &slow));
    }
    client.write_all(&said).await.unwrap();
    loop {
        let mut head = [0; 9];
        timeout(PATIENCE, client.read_exact(&mut head))
            .await
            .unwrap()
            .unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        client.read_exact(&mut payload).await.unwrap();
        if head[3] == RST_STREAM {
            assert_eq!(
                (head[8], payload[3]),
                (7, 7),
                "the fourth is refused: REFUSED_STREAM"
            );
            break;
        }
        assert_ne!(head[3], HEADERS, "no answer yet");
    }
    rig.assert_served(1).await;
}
