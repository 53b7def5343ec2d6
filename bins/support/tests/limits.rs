//! Every limit of the listener: what goes beyond it is refused, and counted under its name.
//!
//! Each test would wait in vain, or count in vain, if its limit were not kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod measured;

use std::convert::Infallible;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use support::limits::{Limit, Limits};
use support::serve::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use self::measured::{MEASURED, refused};

/// Longer than anything here takes on a busy machine, and shorter than the times that limits usually are.
const PATIENCE: Duration = Duration::from_secs(20);

/// Held by tests of what HTTP/2 does not tell apart, all of which counts as `stream-resets`.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A server within limits, on all addresses of this machine.
struct Rig {
    port: u16,
    /// Lets requests for `/slow` end.
    slow: Arc<Notify>,
    _stop: tokio_util::sync::DropGuard,
}

impl Rig {
    async fn with(limits: &[&str]) -> Self {
        LazyLock::force(&MEASURED);
        let mut set = Limits::new();
        limits.iter().for_each(|limit| set.set(limit).unwrap());
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let slow = Arc::new(Notify::new());
        let waiting = Arc::clone(&slow);
        let service = service_fn(move |request: Request<Incoming>| {
            let waiting = Arc::clone(&waiting);
            async move {
                let body = match request.uri().path() {
                    "/large" => Bytes::from(vec![b'x'; LARGE]),
                    "/slow" => {
                        waiting.notified().await;
                        Bytes::from("ok")
                    }
                    _ => Bytes::from("ok"),
                };
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        let stop = CancellationToken::new();
        tokio::spawn(Server::with_limits(&set).serve(listener.into(), service, stop.clone()));
        Self {
            port,
            slow,
            _stop: stop.drop_guard(),
        }
    }

    async fn connect(&self) -> TcpStream {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        TcpStream::connect(address).await.unwrap()
    }

    async fn say(&self, words: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(words.as_ref()).await.unwrap();
        stream
    }

    /// Somebody else, whom nothing of it concerns.
    async fn assert_served(&self) {
        let mut stream = self.say(get("/", "connection: close\r\n")).await;
        let answer = rest_of(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
}

/// More than any socket holds.
const LARGE: usize = 32 << 20;

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest));
    let _reset = read.await.expect("the end of a connection");
    String::from_utf8_lossy(&rest).into_owned()
}

async fn until_refused(limit: &str, before: u64) {
    let counted = async {
        while refused(limit) <= before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let counted = timeout(PATIENCE, counted).await;
    assert!(counted.is_ok(), "{limit} is not counted");
}

#[tokio::test]
async fn limit_connections_closes_who_is_idle() {
    let before = refused("connections");
    let rig = Rig::with(&["connections=3"]).await;
    let mut idle = [
        rig.connect().await,
        rig.connect().await,
        rig.connect().await,
    ];
    rig.assert_served().await;
    let [one, two, three] = &mut idle;
    let closed = tokio::select! {
        said = rest_of(one) => said,
        said = rest_of(two) => said,
        said = rest_of(three) => said,
    };
    assert_eq!(closed, "");
    until_refused("connections", before).await;
}

#[tokio::test]
async fn limit_connections_per_local_source_closes_the_next_one() {
    let before = refused("connections-per-local-source");
    let rig = Rig::with(&["connections-per-local-source=2"]).await;
    let _two = (rig.connect().await, rig.connect().await);
    assert_eq!(rest_of(&mut rig.connect().await).await, "");
    until_refused("connections-per-local-source", before).await;
}

#[tokio::test]
async fn limit_connections_per_source_closes_the_next_one_of_that_source() {
    // An address of this machine that is not the loopback: whoever uses it counts as from elsewhere. Nothing is sent.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe
        .connect("192.0.2.1:9")
        .and_then(|()| probe.local_addr());
    let Some(own) = own.ok().filter(|own| !own.ip().is_loopback()) else {
        return support_skips("this machine has no address but the loopback");
    };
    let before = refused("connections-per-source");
    let rig = Rig::with(&["connections-per-source=2"]).await;
    let connect = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(own.ip(), 0)).unwrap();
        let address = SocketAddr::new(own.ip(), rig.port);
        socket.connect(address).await.unwrap()
    };
    let _two = (connect().await, connect().await);
    assert_eq!(rest_of(&mut connect().await).await, "");
    until_refused("connections-per-source", before).await;
    rig.assert_served().await; // of another source
}

#[expect(
    clippy::print_stderr,
    reason = "who reads the test's output should know"
)]
fn support_skips(why: &str) {
    eprintln!("skipped: {why}");
}

#[tokio::test]
async fn limit_requests_refuses_the_next_one() {
    let before = refused("requests");
    let rig = Rig::with(&["requests=1"]).await;
    let mut busy = rig.say(get("/slow", "connection: close\r\n")).await;
    loop {
        let mut next = rig.say(get("/", "connection: close\r\n")).await;
        let answer = rest_of(&mut next).await;
        if answer.starts_with("HTTP/1.1 503 ") {
            assert!(answer.contains("retry-after: "), "{answer}");
            break;
        }
    }
    until_refused("requests", before).await;
    rig.slow.notify_one();
    assert!(rest_of(&mut busy).await.ends_with("ok"));
    rig.assert_served().await;
}

#[tokio::test]
async fn limit_head_time_ends_a_head_that_does_not_end() {
    let before = refused("head-time");
    let rig = Rig::with(&["head-time=200ms"]).await;
    for words in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nx: "] {
        let answer = rest_of(&mut rig.say(words).await).await;
        assert!(!answer.contains("200 OK"), "{words:?}: {answer}");
        rig.assert_served().await;
    }
    until_refused("head-time", before).await;
}

#[tokio::test]
async fn limit_head_bytes_refuses_a_longer_one() {
    let before = refused("head-bytes");
    let rig = Rig::with(&["head-bytes=8KiB"]).await;
    let with = |bytes| {
        get(
            "/",
            &format!("connection: close\r\nx: {}\r\n", "y".repeat(bytes)),
        )
    };
    let short = rest_of(&mut rig.say(with(6000)).await).await;
    assert!(short.starts_with("HTTP/1.1 200 "), "{short}");
    let long = rest_of(&mut rig.say(with(9000)).await).await;
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
    until_refused("head-bytes", before).await;
}

#[tokio::test]
async fn limit_head_fields_refuses_more_of_them() {
    let before = refused("head-fields");
    let rig = Rig::with(&["head-fields=10"]).await;
    // Over HTTP/1.1 it is met while the head is read, and counts as its length.
    let with = |fields| {
        get(
            "/",
            &format!("connection: close\r\n{}", "x: y\r\n".repeat(fields)),
        )
    };
    let few = rest_of(&mut rig.say(with(8)).await).await;
    assert!(few.starts_with("HTTP/1.1 200 "), "{few}");
    let many = rest_of(&mut rig.say(with(9)).await).await;
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    let mut fields = GET.to_vec();
    fields.extend([0, 1, b'x', 1, b'y'].repeat(20));
    let client = Two::new(&rig, &frame(HEADERS, END_STREAM_AND_HEADERS, 1, &fields)).await;
    until_refused("head-fields", before).await;
    drop(client);
}

/// Frames of HTTP/2: RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM_AND_HEADERS: u8 = 5;
/// `GET http /` and `:authority: a`, in HPACK without its table.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
/// The same of `/slow`.
const SLOW: &[u8] = b"\x82\x86\x04\x05/slow\x41\x01a";
/// It has no `:method`, which RFC 9113, section 8.3.1, asks for.
const MALFORMED: &[u8] = &[0x86, 0x84, 0x41, 1, b'a'];

/// A client of HTTP/2 that says what it likes.
struct Two(TcpStream);

impl Two {
    async fn new(rig: &Rig, words: &[u8]) -> Self {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let mut stream = rig.say([preface.as_slice(), &settings].concat()).await;
        // It may have had enough before all of it has come.
        let _closed = stream.write_all(words).await;
        Self(stream)
    }

    /// The next frame: kind, stream and payload.
    async fn hear(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        let read = timeout(PATIENCE, self.0.read_exact(&mut head)).await;
        read.expect("a frame").ok()?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte))
        };
        let mut payload = vec![0; usize::try_from(number(&head[..3])).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], number(&head[5..]), payload))
    }

    /// Hears until the server has had enough: what it says then.
    async fn end(&mut self) -> String {
        while let Some((kind, _, payload)) = self.hear().await {
            if kind == GOAWAY {
                return String::from_utf8_lossy(&payload[8..]).into_owned();
            }
        }
        String::new()
    }
}

#[tokio::test]
async fn limit_streams_refuses_the_next_one_of_a_connection() {
    let before = refused("streams");
    let rig = Rig::with(&["streams=3"]).await;
    let slow = [1, 3, 5, 7].map(|stream| frame(HEADERS, END_STREAM_AND_HEADERS, stream, SLOW));
    let mut client = Two::new(&rig, &slow.concat()).await;
    let refusal = loop {
        let (kind, stream, payload) = client.hear().await.unwrap();
        assert_ne!(kind, HEADERS, "nothing is answered yet");
        if kind == RST_STREAM {
            break (stream, payload[3]);
        }
    };
    assert_eq!(refusal, (7, 7), "the fourth, with REFUSED_STREAM");
    until_refused("streams", before).await;
    rig.assert_served().await;
}

#[tokio::test]
async fn limit_stream_resets_ends_the_connection() {
    let _alone = ALONE.lock().await;
    let before = refused("stream-resets");
    let rig = Rig::with(&["stream-resets=5"]).await;
    let resets = |count: u32| -> Vec<u8> {
        let streams = (0..count).map(|number| number * 2 + 1);
        let reset = |stream| {
            let cancel = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            [frame(HEADERS, END_STREAM_AND_HEADERS, stream, GET), cancel].concat()
        };
        streams.flat_map(reset).collect()
    };
    let said = Two::new(&rig, &resets(500)).await.end().await;
    assert!(
        said.is_empty() || said.contains("too_many_resets"),
        "{said}"
    );
    until_refused("stream-resets", before).await;
    rig.assert_served().await;
}

#[tokio::test]
async fn limit_stream_errors_ends_the_connection() {
    let _alone = ALONE.lock().await;
    let before = refused("stream-resets");
    let mistakes: Vec<u8> = (0..40_u32)
        .flat_map(|number| frame(HEADERS, END_STREAM_AND_HEADERS, number * 2 + 1, MALFORMED))
        .collect();
    let last = frame(HEADERS, END_STREAM_AND_HEADERS, 81, GET);
    // As many as are allowed do not end it: what comes behind them is answered.
    let rig = Rig::with(&["stream-errors=100"]).await;
    let mut client = Two::new(&rig, &[mistakes.as_slice(), &last].concat()).await;
    loop {
        let (kind, stream, payload) = client.hear().await.unwrap();
        assert_ne!(kind, GOAWAY, "{payload:?}");
        if (kind, stream) == (HEADERS, 81) {
            break;
        }
    }
    assert_eq!(refused("stream-resets"), before);
    let rig = Rig::with(&["stream-errors=10"]).await;
    let mut client = Two::new(&rig, &[mistakes.as_slice(), &last].concat()).await;
    let said = client.end().await;
    assert!(
        said.is_empty() || said.contains("too_many_internal_resets"),
        "{said}"
    );
    until_refused("stream-resets", before).await;
    rig.assert_served().await;
}

#[tokio::test]
async fn limit_head_bytes_ends_a_flood_of_continuations() {
    let _alone = ALONE.lock().await;
    let before = refused("stream-resets");
    let rig = Rig::with(&["head-bytes=8KiB"]).await;
    let more = frame(CONTINUATION, 0, 1, &[0, 1, b'x', 1, b'y'].repeat(100));
    let flood = [frame(HEADERS, 1, 1, GET), more.repeat(1000)].concat();
    let said = Two::new(&rig, &flood).await.end().await;
    assert!(
        said.is_empty() || said.contains("too_many_continuations"),
        "{said}"
    );
    until_refused("stream-resets", before).await;
}

#[tokio::test]
async fn what_a_client_says_of_too_much_is_no_limit_of_ours() {
    let _alone = ALONE.lock().await;
    let rig = Rig::with(&[]).await;
    let before = refused("stream-resets");
    let calm = [0, 0, 0, 0, 0, 0, 0, 11]; // ENHANCE_YOUR_CALM
    drop(Two::new(&rig, &frame(GOAWAY, 0, 0, &calm)).await);
    rig.assert_served().await;
    assert_eq!(refused("stream-resets"), before);
}

#[tokio::test]
async fn limit_send_idle_ends_who_takes_nothing_of_an_answer() {
    let rig = Rig::with(&["send-idle=300ms"]).await;
    let mut slow = rig.say(get("/large", "connection: close\r\n")).await;
    let mut taken = vec![0; 1000];
    slow.read_exact(&mut taken).await.unwrap();
    // Nothing more is taken, until the server has given up: what is left is what was on its way.
    let gone = async {
        while refused("send-idle") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let gone = timeout(PATIENCE, gone).await;
    assert!(gone.is_ok(), "send-idle is not counted");
    let rest = rest_of(&mut slow).await;
    assert!(rest.len() < LARGE - 1000, "{} came", rest.len());
    rig.assert_served().await;
    // Who takes it slowly, and takes it, gets all.
    let mut steady = rig.say(get("/large", "connection: close\r\n")).await;
    assert!(rest_of(&mut steady).await.len() > LARGE);
}

/// With the usual queue of 128, the next one is not heard until it asks again, a second later.
#[tokio::test]
async fn attack_53_burst_of_connections_waits_in_a_queue_that_is_long_enough() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    if most.trim().parse::<usize>().unwrap() < 1000 {
        return support_skips("this machine has no longer queues: net.core.somaxconn");
    }
    let listener = support::listen::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for number in 0..800 {
        let connected = timeout(Duration::from_millis(900), TcpStream::connect(address)).await;
        let stream = connected.unwrap_or_else(|_| panic!("number {number} is not heard"));
        waiting.push(stream.unwrap());
    }
}

#[test]
fn every_limit_is_in_the_table_of_the_documentation_with_a_test_that_exists() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let table = read("docs/reliability.md");
    let tests = [
        "bins/support/tests/limits.rs",
        "bins/support/tests/serve/main.rs",
        "bins/support/tests/shares.rs",
        "bins/gitpod/tests/it/limits.rs",
        "bins/gitpod/tests/it/attacks.rs",
    ];
    let tests = tests.map(read).concat();
    for limit in Limit::ALL {
        let start = format!("| `{}` | ", limit.name());
        let row = table.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", limit.name()));
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(
            cells.len(),
            5,
            "limit, default, reason, what comes of it, test: {row}"
        );
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{row}");
        let named = cells[4].split('`').skip(1).step_by(2);
        let missing: Vec<&str> = named
            .filter(|test| !tests.contains(&format!("fn {test}()")))
            .collect();
        assert!(missing.is_empty(), "{}: no test {missing:?}", limit.name());
        assert!(cells[4].contains('`'), "{}: no test", limit.name());
    }
}
