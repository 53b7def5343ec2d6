//! Where a message ends, and what belongs to the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::http2::{Answer, Client};
use crate::support::*;
use crate::world::{OTHER, World, status};

#[tokio::test]
async fn attack_13_a_request_of_unclear_length_is_refused_and_what_follows_is_not_read() {
    let world = World::new().await;
    let host = world.host();
    let te = "transfer-encoding";
    let fields = [
        format!("content-length: 5\n{te}: chunked\n"),
        format!("{te}: chunked\ncontent-length: 5\n"),
        "content-length: 5\ncontent-length: 6\n".to_owned(),
        "content-length: 5\ncontent-length: 5\n".to_owned(),
        "content-length: 5, 5\n".to_owned(),
        "content-length: +5\n".to_owned(),
        "content-length: -5\n".to_owned(),
        "content-length: 0x5\n".to_owned(),
        "content-length: 5 5\n".to_owned(),
        "content-length: 99999999999999999999999\n".to_owned(),
        "content-length:\n".to_owned(),
        format!("{te}: chunked\n{te}: chunked\n"),
        format!("{te}: chunked\n{te}: identity\n"),
        format!("{te}: identity, chunked\n"),
        format!("{te}: chunked, identity\n"),
        format!("{te}: xchunked\n"),
        format!("{te}: ,chunked\n"),
        format!("{te}: chunked,\n"),
        format!("{te}: \"chunked\"\n"),
        format!("{te}: chunked;q=1\n"),
        format!("{te}: \u{b}chunked\n"),
        format!("{te} : chunked\n"),
        format!(" {te}: chunked\n"),
        format!("x: y\n {te}: chunked\n"), // folded
        format!("x: y\r{te}: chunked\n"),  // a CR alone
        format!("x: y\0{te}: chunked\n"),
    ];
    for fields in fields {
        let head = format!("POST / HTTP/1.1\nhost: {host}\n{fields}\n");
        refused(&world, crlf(&head), &host).await;
    }
    let old = format!("POST / HTTP/1.0\nhost: {host}\n{te}: chunked\nconnection: keep-alive\n\n");
    refused(&world, crlf(&old), &host).await;
    // Lines that end in LF alone, one at a time.
    let head = crlf(&format!("GET / HTTP/1.1\nhost: {host}\nx: y\n\n"));
    for (at, _) in head.match_indices("\r\n") {
        let mut bare = head.clone();
        bare.remove(at);
        refused(&world, bare, &host).await;
    }
}

/// Sends `head`, bytes that could be a body or a request, and a request.
async fn refused(world: &World, head: String, host: &str) {
    let body = "0\r\n\r\n";
    let next = crlf(&format!("GET /smuggled HTTP/1.1\nhost: {host}\n\n"));
    let answer = world.send(format!("{head}{body}{next}")).await;
    assert_eq!(status(&answer), 400, "{head:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.").count(), 1, "{head:?}: {answer}");
    assert_eq!(world.seen.who(), [""; 0], "{head:?}");
}

/// A server that tells what bodies it gets.
async fn telling() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (bodies, told) = mpsc::unbounded_channel();
    let server = upstream(move |request: Request<Incoming>| {
        let bodies = bodies.clone();
        async move {
            let target = request.uri().path().to_owned();
            let body = request.into_body().collect().await;
            let body = body.map(|body| body.to_bytes().to_vec());
            bodies
                .send(body.unwrap_or_else(|_| b"broken".to_vec()))
                .unwrap();
            Response::new(Full::<Bytes>::from(target))
        }
    })
    .await;
    (server, told)
}

#[tokio::test]
async fn attack_13_chunks_are_framed_anew_whatever_they_carry_beside_their_bytes() {
    let (server, mut told) = telling().await;
    let rig = Rig::new(server).await;
    let head = crlf(&format!(
        "POST / HTTP/1.1\nhost: {}\ntransfer-encoding: chunked\nconnection: close\n\n",
        host(server.port())
    ));
    let good = [
        "2;a=b\r\nhi\r\n0\r\n\r\n".to_owned(),
        "0002\r\nhi\r\n0;x\r\n\r\n".to_owned(),
        "1\r\nh\r\n1\r\ni\r\n0\r\nx-t: v\r\n\r\n".to_owned(),
    ];
    for body in good {
        let answer = soon(
            "answer",
            rig.raw(&format!("{head}{body}").replace("\r\n", "\n")),
        )
        .await;
        assert_eq!(status(&answer), 200, "{body}: {answer}");
        assert_eq!(told.recv().await.unwrap(), b"hi", "{body}");
    }
    let bad = [
        "-2\r\nhi\r\n0\r\n\r\n".to_owned(),
        "0x2\r\nhi\r\n0\r\n\r\n".to_owned(),
        "2 \u{b}\r\nhi\r\n0\r\n\r\n".to_owned(),
        "3\r\nhi\r\n0\r\n\r\n".to_owned(),
        "ffffffffffffffffff\r\nhi\r\n0\r\n\r\n".to_owned(),
        format!("2;{}\r\nhi\r\n0\r\n\r\n", "e".repeat(1 << 20)), // all extension
        format!(
            "{}0\r\n\r\n",
            "1;xxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(20_000)
        ),
    ];
    for body in bad {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let _closed = stream.write_all(format!("{head}{body}").as_bytes()).await;
        let mut answer = Vec::new();
        let _cut = soon("the end", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            !answer.starts_with("HTTP/1.1 200"),
            "{}: {answer}",
            &body[..9]
        );
        // Either it never got there, or it was seen that it is not whole.
        while let Ok(body) = told.try_recv() {
            assert_eq!(body, b"broken");
        }
    }
}

#[tokio::test]
async fn attack_14_what_http_2_lets_pass_and_http_1_does_not_is_refused() {
    let world = World::new().await;
    let host = world.host();
    let cases: [&[(&str, &str)]; 16] = [
        &[(":path", "/a b")],
        &[(":path", "/a\r\nx: y")],
        &[(":path", "/ HTTP/1.1\r\nhost: evil\r\n\r\nGET /b")],
        &[(":path", "a")],
        &[(":path", "")],
        &[(":path", "http://evil.test/")],
        &[(":method", "GET /x HTTP/1.1\r\n\r\n")],
        &[(":method", "")],
        &[("x", "y\r\nz: 1")],
        &[("x", "y\nz: 1")],
        &[("x", "y\0")],
        &[("x y", "z")],
        &[("x: y\r\nz", "1")],
        &[("X-Upper", "z")],
        &[("transfer-encoding", "chunked")],
        &[("connection", "x-forwarded-for")],
    ];
    for case in cases {
        let fields: Vec<_> = [(":authority", &*host)]
            .iter()
            .chain(case)
            .copied()
            .collect();
        let answer = Client::connect(world.address).await.ask(&fields).await;
        assert!(answer.is_refusal(), "{case:?}: {answer:?}");
        assert_eq!(world.seen.who(), [""; 0], "{case:?}");
    }
    let authority = format!("{host}\r\nhost: {OTHER}");
    let answer = Client::connect(world.address)
        .await
        .ask(&[(":authority", &authority)])
        .await;
    assert!(answer.is_refusal(), "{answer:?}");
    assert_eq!(world.seen.who(), [""; 0]);
}

#[tokio::test]
async fn attack_14_a_body_that_differs_from_its_length_breaks_off() {
    let (server, mut told) = telling().await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    for (length, body) in [
        ("1", "hello"),
        ("9", "hello"),
        ("0", "GET /smuggled HTTP/1.1\r\n\r\n"),
    ] {
        let fields = [
            (":method", "POST"),
            (":authority", &*host),
            ("content-length", length),
        ];
        let answer = Client::connect(rig.address)
            .await
            .send(&fields, &[body])
            .await;
        assert!(answer.is_refusal(), "{length}: {answer:?}");
        while let Ok(body) = told.try_recv() {
            assert_eq!(body, b"broken", "{length}");
        }
    }
    let fields = [
        (":method", "POST"),
        (":authority", &*host),
        ("content-length", "5"),
    ];
    let answer = Client::connect(rig.address)
        .await
        .send(&fields, &["he", "llo"])
        .await;
    assert_eq!(answer, Answer::Status(200));
    assert_eq!(told.recv().await.unwrap(), b"hello");
}

#[tokio::test]
async fn attack_15_there_is_a_tunnel_only_where_the_workspace_agrees_to_it() {
    let world = World::new().await;
    let (host, closed) = (world.host(), format!("{}-{ID}.{DOMAIN}", world.private));
    // A server that answers 200, with what a tunnel would carry sent along.
    let upgrades = [
        "connection: upgrade\nupgrade: websocket\n",
        "connection: upgrade\nupgrade: h2c\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\n",
        "connection: upgrade\nupgrade: tls/1.2\n",
        "upgrade: websocket\n",
        "connection: upgrade, x-forwarded-for\nupgrade: websocket\n",
    ];
    for fields in upgrades {
        let both = crlf(&format!(
            "GET /one HTTP/1.1\nhost: {host}\n{fields}\nGET /two HTTP/1.1\nhost: {closed}\nconnection: close\n\n"
        ));
        let answer = world.send(both).await;
        assert_eq!(world.seen.target(), "/one", "{fields}");
        assert!(answer.contains("HTTP/1.1 401"), "{fields}: {answer}");
    }
    // And one that says that another protocol is needed.
    let server = raw_upstream(|mut stream| async move {
        while !read_head(&mut stream).await.is_empty() {
            let answer = "HTTP/1.1 426 Upgrade Required\nupgrade: h2c\nconnection: upgrade\ncontent-length: 0\n\n";
            stream.write_all(crlf(answer).as_bytes()).await.unwrap();
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let host = crate::support::host(server.port());
    let answer = rig
        .raw(&format!(
            "GET / HTTP/1.1\nhost: {host}\nconnection: upgrade\nupgrade: websocket\n\n\
             GET / HTTP/1.1\nhost: 1-{ID}.{DOMAIN}\nconnection: close\n\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
    assert!(answer.contains("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn attack_16_fields_that_we_set_cannot_be_taken_out_by_the_client() {
    let world = World::new().await;
    let names = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "host",
    ];
    for name in names {
        let fields = format!(
            "connection: {name}\nconnection: close, {}\n",
            name.to_ascii_uppercase()
        );
        world.get(&world.host(), "/", &fields).await;
        let head = world.seen.take().remove(0).1;
        assert!(head.contains(&format!("\r\n{name}: ")), "{name}: {head}");
    }
    // What a client wants kept to this connection stays here, also what could be ours.
    let fields = "connection: cookie, x-mine\nx-mine: 1\ncookie: a=1\n";
    world.get(&world.host(), "/", fields).await;
    let head = world.seen.take().remove(0).1;
    assert!(
        !head.contains("x-mine") && !head.contains("connection"),
        "{head}"
    );
}

#[tokio::test]
async fn attack_17_a_field_that_servers_take_for_one_of_ours_does_not_pass() {
    let world = World::new().await;
    let names = [
        "x_forwarded_for",
        "X_Forwarded-Host",
        "x-forwarded_proto",
        "x_gitpod_owner_token",
        "x-gitpod_owner-token",
        "x_wsproxy_host",
        "x_ws_proxy_debug_port",
        "content_length",
        "transfer_encoding",
        "proxy_connection",
    ];
    for name in names {
        world
            .get(&world.host(), "/", &format!("{name}: twin\n"))
            .await;
        let head = world.seen.take().remove(0).1;
        assert!(!head.contains("twin"), "{name}: {head}");
    }
    world.get(&world.host(), "/", "my_own_field: kept\n").await;
    assert!(world.seen.take().remove(0).1.contains("my_own_field: kept"));
}

#[tokio::test]
async fn attack_18_a_body_that_nobody_read_is_no_request() {
    let world = World::new().await;
    let smuggled = crlf(&format!(
        "GET /smuggled HTTP/1.1\nhost: {}\n\n",
        world.host()
    ));
    let length = smuggled.len();
    // Refused before its body was read; the body is there all the same.
    for (host, refused) in [
        ("unknown.test".to_owned(), 404),
        (format!("{}-{ID}.{DOMAIN}", world.private), 401),
    ] {
        let head = crlf(&format!(
            "POST / HTTP/1.1\nhost: {host}\ncontent-length: {length}\n\n"
        ));
        let next = crlf(&format!(
            "GET /next HTTP/1.1\nhost: {}\nconnection: close\n\n",
            world.host()
        ));
        let answer = world.send(format!("{head}{smuggled}{next}")).await;
        assert_eq!(status(&answer), refused, "{answer}");
        for (_, head) in world.seen.take() {
            assert!(head.starts_with("GET /next"), "{head}");
        }
    }
}

#[tokio::test]
async fn attack_18_a_server_that_answers_early_gets_no_request_behind_half_a_body() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    // Answers at once, keeps the connection, and tells what comes on it.
    let (rest, mut told) = mpsc::unbounded_channel();
    let server = raw_upstream(move |mut stream| {
        let (number, rest) = (count.fetch_add(1, Ordering::SeqCst), rest.clone());
        async move {
            read_head(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let mut all = Vec::new();
            let _reset = stream.read_to_end(&mut all).await;
            rest.send((number, all)).unwrap();
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    let mut first = TcpStream::connect(rig.address).await.unwrap();
    let head = crlf(&format!(
        "POST / HTTP/1.1\nhost: {host}\ncontent-length: 30\n\nhalf"
    ));
    first.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&soon("answer", read_head(&mut first)).await), 200);
    let second = rig
        .raw(&format!(
            "GET /other HTTP/1.1\nhost: {host}\nconnection: close\n\n"
        ))
        .await;
    assert_eq!(status(&second), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    drop(first);
    let (number, got) = soon("the end of the first", told.recv()).await.unwrap();
    assert!(
        number != 0 || b"half".starts_with(&got),
        "{}",
        String::from_utf8_lossy(&got)
    );
}

#[tokio::test]
async fn attack_19_a_flood_of_interim_answers_ends_with_the_answer_or_with_the_client() {
    let (steps, mut told) = mpsc::unbounded_channel();
    let server = raw_upstream(move |mut stream| {
        let steps = steps.clone();
        async move {
            let head = read_head(&mut stream).await;
            let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 x\r\n\r\n";
            for _ in 0..1000 {
                stream.write_all(interim).await.unwrap();
            }
            if head.starts_with("GET /ends") {
                let last = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(last).await.unwrap();
                return;
            }
            steps.send("flows").unwrap();
            while stream.write_all(interim).await.is_ok() {}
            steps.send("ended").unwrap();
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    let ask = |path: &str| format!("GET {path} HTTP/1.1\nhost: {host}\nconnection: close\n\n");
    let answer = soon("answer", rig.raw(&ask("/ends"))).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"),
        "{answer}"
    );
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream
        .write_all(crlf(&ask("/endless")).as_bytes())
        .await
        .unwrap();
    assert_eq!(soon("the flood", told.recv()).await, Some("flows"));
    drop(stream);
    assert_eq!(soon("its end", told.recv()).await, Some("ended"));
}

#[tokio::test]
async fn attack_20_trailing_fields_say_nothing_that_a_head_is_checked_for() {
    let bad = [
        "x-gitpod-owner-token",
        "x_gitpod_owner_token",
        "authorization",
        "cookie",
        "set-cookie",
        "host",
        "content-length",
        "transfer-encoding",
        "x-forwarded-for",
        "x-ws-proxy-debug-port",
        "connection",
        "expect",
    ];
    let server = upstream(|request: Request<Incoming>| async {
        let trailers = request
            .into_body()
            .collect()
            .await
            .unwrap()
            .trailers()
            .cloned();
        let names: Vec<String> = trailers
            .unwrap_or_default()
            .keys()
            .map(ToString::to_string)
            .collect();
        Response::new(Full::<Bytes>::from(names.join(",")))
    })
    .await;
    let rig = Rig::new(server).await;
    for name in bad {
        let answer = rig
            .raw(&format!(
                "POST / HTTP/1.1\nhost: {}\nconnection: close\nte: trailers\ntransfer-encoding: chunked\n\
                 trailer: x-sum, {name}\n\n2\nhi\n0\nx-sum: 1\n{name}: bad\n\n",
                host(server.port())
            ))
            .await;
        let answered = status(&answer);
        assert!(
            answered == 400 || answer.ends_with("\r\n\r\nx-sum"),
            "{name}: {answer}"
        );
    }
}
