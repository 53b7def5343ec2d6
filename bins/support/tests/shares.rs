//! What one connection or one source may take of a listener, so that something is left for others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod measured;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gitpod_routing::Cut;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Full;
use hyper::body::Incoming;
use support::limits::Limits;
use support::serve::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::service_fn;

use self::measured::{MEASURED, refused};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server within limits, which answers everything but `/never`.
async fn server(limits: &[&str]) -> (u16, DropGuard) {
    LazyLock::force(&MEASURED);
    let mut set = Limits::new();
    limits.iter().for_each(|limit| set.set(limit).unwrap());
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = service_fn(async |request: Request<Incoming>| {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("ok"))))
    });
    let stop = CancellationToken::new();
    tokio::spawn(Server::with_limits(&set).serve(listener.into(), service, stop.clone()));
    (port, stop.drop_guard())
}

/// A connection from 127.0.0.`last`, which has said `words`.
async fn say(port: u16, last: u8, words: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = SocketAddr::from(([127, 0, 0, last], 0));
    socket.bind(from).unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

/// What is answered to a request of 127.0.0.`last`.
async fn status(port: u16, last: u8) -> String {
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut stream = say(port, last, request).await;
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("an answer").unwrap();
    answer[9..12].to_owned()
}

/// Waits until 127.0.0.`last` is refused as `limit` says.
async fn until_refused(port: u16, last: u8, limit: &str, before: u64) {
    let refusal = async { while status(port, last).await != "503" {} };
    timeout(PATIENCE, refusal).await.expect("a refusal");
    assert!(refused(limit) > before, "{limit} is not counted");
}

#[tokio::test]
async fn limit_requests_per_source_refuses_the_next_one_of_that_source() {
    let limits = ["requests-per-source=2", "connections-per-local-source=9"];
    let before = refused("requests-per-source");
    let (port, _stop) = server(&limits).await;
    let never = b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n";
    let held = (say(port, 2, never).await, say(port, 2, never).await);
    until_refused(port, 2, "requests-per-source", before).await;
    assert_eq!(status(port, 1).await, "200");
    drop(held);
    let again = async { while status(port, 2).await != "200" {} };
    timeout(PATIENCE, again).await.expect("room again");
}

/// Frames of HTTP/2: RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM_AND_HEADERS: u8 = 5;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The next frame: kind, stream and payload.
async fn hear(stream: &mut TcpStream) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    let read = timeout(PATIENCE, stream.read_exact(&mut head)).await;
    read.expect("a frame").unwrap();
    let number = |bytes: &[u8]| {
        let add = |number, byte: &u8| number << 8 | u32::from(*byte);
        bytes.iter().fold(0, add)
    };
    let mut payload = vec![0; usize::try_from(number(&head[..3])).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], number(&head[5..]), payload)
}

/// Requests for `/never`, on streams from 1 on, each with a head of some 45 kB that takes a few bytes: one field of
/// the dynamic table, again and again (RFC 7541, section 6.1).
fn large_heads(count: u32) -> Vec<u8> {
    let field = [b"\x40\x01x\x7f\xb9\x16".as_slice(), &[b'v'; 3000]].concat();
    // Its path and host are not indexed: the field stays the first of the table.
    let never = b"\x82\x86\x04\x06/never\x01\x01a".as_slice();
    let heads = (0..count).map(|number| {
        let own = if number == 0 { field.as_slice() } else { &[] };
        let head = [never, own, &[0xbe; 15]].concat();
        frame(HEADERS, END_STREAM_AND_HEADERS, number * 2 + 1, &head)
    });
    let settings = frame(SETTINGS, 0, 0, &[]);
    let heads: Vec<u8> = heads.flatten().collect();
    [PREFACE, &settings, &heads].concat()
}

/// The first stream that is answered, and whether otherwise than with 200, which HPACK has in its table.
async fn first_answer(stream: &mut TcpStream) -> (u32, bool) {
    loop {
        let (kind, number, head) = hear(stream).await;
        if kind == HEADERS {
            return (number, !head.contains(&0x88));
        }
    }
}

#[tokio::test]
async fn limit_head_bytes_per_connection_counts_what_heads_become() {
    let before = refused("head-bytes-per-connection");
    let (port, _stop) = server(&["head-bytes-per-connection=100KiB"]).await;
    let mut client = say(port, 1, &large_heads(4)).await;
    assert_eq!(first_answer(&mut client).await, (5, true), "the third");
    assert!(refused("head-bytes-per-connection") > before);
    assert_eq!(status(port, 1).await, "200");
}

#[tokio::test]
async fn limit_head_bytes_per_source_counts_what_heads_become() {
    let limits = [
        "head-bytes-per-source=64KiB",
        "connections-per-local-source=9",
    ];
    let before = refused("head-bytes-per-source");
    let (port, _stop) = server(&limits).await;
    let mut client = say(port, 2, &large_heads(2)).await;
    assert_eq!(first_answer(&mut client).await, (3, true), "the second");
    let mut other = say(port, 2, &large_heads(1)).await;
    assert_eq!(first_answer(&mut other).await, (1, true), "of another");
    assert!(refused("head-bytes-per-source") > before);
    assert_eq!(status(port, 1).await, "200");
}

#[tokio::test]
async fn limit_head_bytes_in_all_counts_what_heads_become() {
    let before = refused("head-bytes-in-all");
    let (port, _stop) = server(&["head-bytes-in-all=64KiB"]).await;
    let client = say(port, 2, &large_heads(1)).await;
    let mut other = say(port, 3, &large_heads(2)).await;
    assert!(first_answer(&mut other).await.1);
    assert!(refused("head-bytes-in-all") > before);
    assert_eq!(status(port, 1).await, "200", "a usual head has room");
    drop(client);
}

#[tokio::test]
async fn limit_send_idle_ends_streams_of_http_2_whose_answer_is_not_taken() {
    let limits = ["send-idle=200ms", "requests=1"];
    let before = refused("send-idle");
    let (port, _stop) = server(&limits).await;
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let get = b"\x82\x86\x84\x41\x01a";
    let get = frame(HEADERS, END_STREAM_AND_HEADERS, 1, get);
    let mut client = say(port, 1, &[PREFACE, &no_window, &get].concat()).await;
    loop {
        let (kind, stream, payload) = hear(&mut client).await;
        if kind == RST_STREAM {
            assert_eq!((stream, payload[3]), (1, 8), "CANCEL");
            break;
        }
    }
    assert!(refused("send-idle") > before);
    assert_eq!(status(port, 2).await, "200");
    // The connection goes on.
    let get = b"\x82\x86\x84\x41\x01a";
    let get = frame(HEADERS, END_STREAM_AND_HEADERS, 3, get);
    client.write_all(&get).await.unwrap();
    while hear(&mut client).await.0 != HEADERS {}
}

/// A body without end, whose end is told nevertheless.
struct Endless(#[expect(dead_code, reason = "is dropped")] oneshot::Sender<()>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

#[tokio::test]
async fn attack_35_what_may_no_longer_be_had_ends_though_its_client_reads_nothing() {
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let get = frame(HEADERS, END_STREAM_AND_HEADERS, 1, b"\x82\x86\x84\x41\x01a");
    let two = [PREFACE, &no_window, &get].concat();
    let one = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
    for words in [one, two] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (revoke, revoked) = oneshot::channel::<()>();
        let (kept, mut gone) = oneshot::channel();
        let answer = Arc::new(Mutex::new(Some((revoked, kept))));
        let service = service_fn(move |_request: Request<Incoming>| {
            let (revoked, kept) = answer.lock().unwrap().take().unwrap();
            let mut response = Response::new(Endless(kept));
            let cut = Cut::when(async { drop(revoked.await) });
            response.extensions_mut().insert(cut);
            async { Ok::<_, Infallible>(response) }
        });
        let stop = CancellationToken::new();
        tokio::spawn(Server::new().serve(listener.into(), service, stop.clone()));
        let mut client = say(port, 1, &words).await;
        client.read_exact(&mut [0; 9]).await.unwrap();
        let early = timeout(Duration::from_millis(200), &mut gone).await;
        assert!(early.is_err(), "it may be had");
        drop(revoke);
        let ended = timeout(PATIENCE, gone).await;
        assert!(ended.is_ok(), "it goes on");
        stop.cancel();
    }
}
