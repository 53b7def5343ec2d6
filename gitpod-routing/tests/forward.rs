//! What passes through the whole stack, over real sockets.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody, channel::Channel};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// Answers with the head that arrived, one field per line.
async fn echo_head(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    Response::new(Full::new(text.into()))
}

#[tokio::test]
async fn credentials_stay_and_descriptions_of_the_client_are_ours() {
    let server = upstream(echo_head).await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    let answer = rig
        .raw(&format!(
            "GET /a%2Fb//c?q=1&q=%zz HTTP/1.1\nhost: {host}\nconnection: close, x-forwarded-host, x-mine\n\
             x-mine: 1\nx-gitpod-owner-token: {TOKEN}\nx_gitpod_owner_token: {TOKEN}\nx-gitpod-port: 1\n\
             x-wsproxy-host: a\nx-forwarded-for: 6.6.6.6\nx-forwarded-proto: ftp\nx_forwarded_for: 6.6.6.6\n\
             forwarded: for=6.6.6.6\nx-real-ip: 6.6.6.6\nte: trailers, gzip\nproxy-authorization: x\n\
             x-ws-proxy-debug-port: 22\naccept-language: de\n\
             cookie: a=1; _example_com_ws_i-1_owner_={TOKEN}\ncookie: __Host-_example_com_jwt2_=x; b=\"2\"\n\n"
        ))
        .await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = body.lines().collect();
    lines[1..].sort_unstable();
    let expected = [
        "GET /a%2Fb//c?q=1&q=%zz".to_owned(),
        "accept-language: de".into(),
        "cookie: a=1; b=\"2\"".into(),
        format!("host: {host}"),
        "te: trailers".into(),
        "x-forwarded-for: 127.0.0.1".into(),
        format!("x-forwarded-host: {host}"),
        "x-forwarded-port: 443".into(),
        "x-forwarded-proto: https".into(),
    ];
    assert_eq!(lines, expected);
    assert!(!answer.contains(TOKEN));
    assert_eq!(rig.activity.uses_of(&info(&[])), 1);
}

#[tokio::test]
async fn answer_keeps_its_fields_but_not_those_of_the_connection() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 404 Nope\nx-a: 1\nx-a: 2\nconnection: close, x-hop\nx-hop: 1\n\
                      x-frame-options: DENY\nclear-site-data: \"cookies\"\nset-cookie: a=1; Path=/\n\
                      set-cookie: _example_com_ws_i-1_owner_=evil; Domain=.example.com\nkeep-alive: 5\n\
                      content-length: 2\n\nno";
        stream.write_all(crlf(answer).as_bytes()).await.unwrap();
    })
    .await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    let answer = rig
        .raw(&format!(
            "GET / HTTP/1.1\nhost: {host}\nconnection: close\n\n"
        ))
        .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head
        .lines()
        .filter(|line| !line.starts_with("date"))
        .collect();
    lines[1..].sort_unstable();
    let expected = [
        "HTTP/1.1 404 Nope",
        "connection: close",
        "content-length: 2",
        "set-cookie: a=1; Path=/",
        "x-a: 1",
        "x-a: 2",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "no");
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let server =
        upstream(|request: Request<Incoming>| async { Response::new(request.into_body()) }).await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\nhost: {}\ntransfer-encoding: chunked\n\n",
        host(server.port())
    );
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    let head = soon("head before the body ended", read_head(&mut stream)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for chunk in ["3\r\none\r\n", "5\r\nthree\r\n", "0\r\n\r\n"] {
        stream.write_all(chunk.as_bytes()).await.unwrap();
        soon("echo", read_text(&mut stream, chunk)).await;
    }
}

#[tokio::test]
async fn events_are_not_held_back() {
    let go_on = Arc::new(Notify::new());
    let waiting = Arc::clone(&go_on);
    let server = upstream(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            let (mut sender, body) = Channel::<Bytes>::new(1);
            tokio::spawn(async move {
                sender.send_data("data: 1\n\n".into()).await.unwrap();
                waiting.notified().await;
                sender.send_data("data: 2\n\n".into()).await.unwrap();
            });
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(body)
                .unwrap()
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\nhost: {}\n\n", host(server.port()));
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    soon(
        "first event",
        read_text(&mut stream, "9\r\ndata: 1\n\n\r\n"),
    )
    .await;
    go_on.notify_one();
    soon(
        "second event",
        read_text(&mut stream, "9\r\ndata: 2\n\n\r\n"),
    )
    .await;
}

#[tokio::test]
async fn trailers_pass_unless_they_carry_credentials() {
    let server = upstream(|request: Request<Incoming>| async {
        let trailers = request
            .into_body()
            .collect()
            .await
            .unwrap()
            .trailers()
            .cloned();
        let mut sent = trailers.unwrap_or_default();
        sent.insert("x-checksum", "abc".parse().unwrap());
        let frames = [
            Ok::<_, std::io::Error>(Frame::data(Bytes::from("hi"))),
            Ok(Frame::trailers(sent)),
        ];
        Response::builder()
            .header("trailer", "x-checksum, x-client, x-gitpod-owner-token")
            .body(StreamBody::new(futures_util::stream::iter(frames)))
            .unwrap()
    })
    .await;
    let rig = Rig::new(server).await;
    let answer = rig
        .raw(&format!(
            "POST / HTTP/1.1\nhost: {}\nconnection: close\nte: trailers\ntransfer-encoding: chunked\n\
             trailer: x-client, x-gitpod-owner-token\n\n2\nhi\n0\nx-client: 1\nx-gitpod-owner-token: t\n\n",
            host(server.port())
        ))
        .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("trailer: x-checksum, x-client\r\n"), "{head}");
    assert!(body.contains("x-checksum: abc\r\n"), "{body}");
    assert!(body.contains("x-client: 1\r\n"), "{body}");
    assert!(!body.contains("x-gitpod-owner-token"), "{body}");
}

#[tokio::test]
async fn client_is_told_to_continue_when_the_server_says_so() {
    let (heads, mut seen) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let waiting = Arc::clone(&go_on);
    let server = raw_upstream(move |mut stream| {
        let (heads, waiting) = (heads.clone(), Arc::clone(&waiting));
        async move {
            heads.send(read_head(&mut stream).await).unwrap();
            waiting.notified().await;
            stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .unwrap();
            read_text(&mut stream, "body").await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "PUT / HTTP/1.1\nhost: {}\nexpect: 100-continue\ncontent-length: 4\n\n",
        host(server.port())
    );
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    let head = soon("head at the server", seen.recv()).await.unwrap();
    assert!(
        head.contains("expect: 100-continue\r\n") && head.contains("content-length: 4\r\n"),
        "{head}"
    );
    go_on.notify_one();
    let interim = soon("100", read_head(&mut stream)).await;
    assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    stream.write_all(b"body").await.unwrap();
    let answer = soon("answer", read_head(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn early_refusal_comes_instead_of_continue() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 417 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "PUT / HTTP/1.1\nhost: {}\nexpect: 100-continue\ncontent-length: 4\n\n",
        host(server.port())
    );
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    let answer = soon("answer", read_head(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 417"), "{answer}");
}

#[tokio::test]
async fn body_that_breaks_off_breaks_off_for_the_client() {
    for framing in ["content-length: 10", "transfer-encoding: chunked"] {
        let server = raw_upstream(move |mut stream| async move {
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\n{framing}\n\n3\nabc\n");
            stream.write_all(crlf(&answer).as_bytes()).await.unwrap();
        })
        .await;
        let rig = Rig::new(server).await;
        let request = format!("GET / HTTP/1.1\nhost: {}\n\n", host(server.port()));
        let answer = soon("end", rig.raw(&request)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn client_that_goes_away_ends_the_request_at_the_server() {
    let (ended, mut seen) = mpsc::unbounded_channel();
    let (began, mut started) = mpsc::unbounded_channel();
    let server = raw_upstream(move |mut stream| {
        let (began, ended) = (began.clone(), ended.clone());
        async move {
            read_head(&mut stream).await;
            began.send(()).unwrap();
            let mut rest = Vec::new();
            let _reset = stream.read_to_end(&mut rest).await;
            ended.send(()).unwrap();
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\nhost: {}\n\n", host(server.port()));
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    soon("request", started.recv()).await.unwrap();
    drop(stream);
    soon("end at the server", seen.recv()).await.unwrap();
}

/// Counts connections, and answers `keep` requests on each before it closes it.
async fn counting(keep: usize) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let server = raw_upstream(move |mut stream| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            for _ in 0..keep {
                if read_head(&mut stream).await.is_empty() {
                    return;
                }
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            // Reads one more request and closes without an answer: a stale connection.
            read_head(&mut stream).await;
        }
    })
    .await;
    (server, connections)
}

async fn get(rig: &Rig, port: u16) -> String {
    let host = host(port);
    soon(
        "answer",
        rig.raw(&format!(
            "GET / HTTP/1.1\nhost: {host}\nconnection: close\n\n"
        )),
    )
    .await
}

#[tokio::test]
async fn connection_is_used_again_by_the_same_run_only() {
    let (server, connections) = counting(100).await;
    let rig = Rig::new(server).await;
    for _ in 0..5 {
        assert!(get(&rig, server.port()).await.ends_with("\r\n\r\n0"));
    }
    let mut next = info(&[server.port()]);
    next.instance = instance("i-2");
    rig.workspaces.insert(next);
    assert!(get(&rig, server.port()).await.ends_with("\r\n\r\n1"));
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn request_without_body_survives_a_stale_connection() {
    let (server, connections) = counting(1).await;
    let rig = Rig::new(server).await;
    for number in 0..3 {
        let answer = get(&rig, server.port()).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{number}")), "{answer}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn request_with_a_body_is_never_sent_twice() {
    let (server, connections) = counting(1).await;
    let rig = Rig::new(server).await;
    get(&rig, server.port()).await;
    let host = host(server.port());
    let request =
        format!("POST / HTTP/1.1\nhost: {host}\nconnection: close\ncontent-length: 2\n\nhi");
    let answer = soon("answer", rig.raw(&request)).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn port_that_nobody_serves_is_not_found_and_says_how_to_open_it() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let rig = Rig::new(closed).await;
    let answer = get(&rig, closed.port()).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(
        answer.contains(&format!("Port {} is not open", closed.port())),
        "{answer}"
    );
    assert!(!answer.contains("127.0.0.1:"), "{answer}");
    let editor = format!(
        "GET / HTTP/1.1\nhost: {ID}.{DOMAIN}\nconnection: close\nx-gitpod-owner-token: {TOKEN}\n\n"
    );
    assert!(rig.raw(&editor).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn request_of_unclear_length_or_host_is_refused_and_the_connection_closed() {
    let server = upstream(echo_head).await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    let second = format!("GET /smuggled HTTP/1.1\nhost: {host}\n\n");
    let cases = [
        format!("POST / HTTP/1.1\nhost: {host}\ntransfer-encoding: ,chunked\n\n0\n\n"),
        format!(
            "POST / HTTP/1.1\nhost: {host}\ntransfer-encoding: chunked\ntransfer-encoding: chunked\n\n0\n\n"
        ),
        format!(
            "POST / HTTP/1.1\nhost: {host}\ncontent-length: 5\ntransfer-encoding: chunked\n\n0\n\n"
        ),
        format!("POST / HTTP/1.1\nhost: {host}\ntransfer-encoding: xchunked\n\n0\n\n"),
        format!(
            "POST / HTTP/1.1\nhost: {host}\ntransfer-encoding: chunked\ncontent-length: 5\n\n0\n\n"
        ),
        format!("POST / HTTP/1.1\nhost: {host}\ncontent-length: 0\ncontent-length: 0\n\n"),
        format!("POST / HTTP/1.1\nhost: {host}\ncontent-length: +0\n\n"),
        format!("GET / HTTP/1.1\nhost: {host}\nhost: {host}\n\n"),
        format!("GET http://other.test/ HTTP/1.1\nhost: {host}\n\n"),
        "CONNECT a.test:80 HTTP/1.1\nhost: a.test:80\n\n".to_owned(),
        "GET / HTTP/1.1\n\n".to_owned(),
        format!("GET http://{host}/ HTTP/1.1\n\n"),
    ];
    for case in cases {
        let answer = soon("close", rig.raw(&format!("{case}{second}"))).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{case}\n{answer}");
        assert!(!answer.contains("smuggled"), "{case}\n{answer}");
    }
}

#[tokio::test]
async fn http_2_comes_in_and_http_1_goes_out() {
    let server = upstream(echo_head).await;
    let rig = Rig::new(server).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{}/p?q", host(server.port())))
        .header("cookie", "a=1")
        .header("cookie", "_example_com_x=1")
        .header("cookie", "b=2")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.starts_with("GET /p?q\n"), "{body}");
    assert!(body.contains("cookie: a=1; b=2\n"), "{body}");
    assert!(
        body.contains(&format!("host: {}\n", host(server.port()))),
        "{body}"
    );
}

#[tokio::test]
async fn answer_may_come_before_the_body_has_ended() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 413 Big\r\ncontent-length: 3\r\n\r\nbig")
            .await
            .unwrap();
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest).await;
    })
    .await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\nhost: {}\ncontent-length: 1000000\n\nabc",
        host(server.port())
    );
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    let answer = soon("answer", read_head(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn trailers_reach_http_2_clients() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntrailer: x-end\n\n2\nhi\n0\nx-end: yes\n\n";
        stream.write_all(crlf(answer).as_bytes()).await.unwrap();
    })
    .await;
    let rig = Rig::new(server).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{}/", host(server.port())))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    let expected: HeaderMap = [("x-end".parse().unwrap(), "yes".parse().unwrap())]
        .into_iter()
        .collect();
    assert_eq!(collected.trailers(), Some(&expected));
}
