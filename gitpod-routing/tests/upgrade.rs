//! Connections that become another protocol: when they do, and when they do not.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use futures_util::{SinkExt, StreamExt};
use gitpod_routing::Scheme;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

async fn websocket_echo() -> std::net::SocketAddr {
    raw_upstream(|stream| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
            return;
        };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

/// Agrees to whatever is asked for, and then echoes bytes.
async fn echo_after_101() -> std::net::SocketAddr {
    raw_upstream(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let upgrade = head
            .lines()
            .find(|line| line.starts_with("upgrade:"))
            .unwrap();
        let answer = format!("HTTP/1.1 101 Yes\n{upgrade}\nconnection: upgrade\nx-a: 1\n\n");
        stream.write_all(crlf(&answer).as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.write_all(b"bye").await.unwrap();
    })
    .await
}

#[tokio::test]
async fn websocket_carries_messages_of_every_size() {
    let server = websocket_echo().await;
    let rig = Rig::new(server).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let url = format!("ws://{}/socket", host(server.port()));
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    for size in [0, 1, 125, 126, 65_536, 1_000_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.unwrap();
        let echo = soon("echo", socket.next()).await.unwrap().unwrap();
        assert_eq!(echo, message);
    }
    socket.close(None).await.unwrap();
    let end = soon("close", socket.next()).await;
    assert!(end.is_none_or(|end| end.is_ok_and(|message| message.is_close())));
}

#[tokio::test]
async fn any_protocol_becomes_a_tunnel_and_each_end_is_passed_on() {
    let server = echo_after_101().await;
    let rig = Rig::new(server).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\nhost: {}\nconnection: keep-alive, Upgrade\nupgrade: My-Proto\n\n",
        host(server.port())
    );
    stream.write_all(crlf(&head).as_bytes()).await.unwrap();
    let head = soon("101", read_head(&mut stream)).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        head.contains("upgrade: My-Proto\r\n") && head.contains("x-a: 1\r\n"),
        "{head}"
    );
    stream.write_all(b"ping").await.unwrap();
    soon("echo", read_text(&mut stream, "ping")).await;
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    soon("end", stream.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "bye");
}

#[tokio::test]
async fn answer_other_than_101_leaves_the_connection_as_it_is() {
    let server = raw_upstream(|mut stream| async move {
        loop {
            let head = read_head(&mut stream).await;
            let Some(path) = head.split(' ').nth(1) else {
                return;
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}",
                path.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let host = host(server.port());
    // The second request is pipelined: it must be read as HTTP, checked and answered.
    let answer = rig
        .raw(&format!(
            "GET /one HTTP/1.1\nhost: {host}\nconnection: upgrade\nupgrade: websocket\n\n\
             GET /two HTTP/1.1\nhost: 1-{ID}.{DOMAIN}\nconnection: close\n\n"
        ))
        .await;
    assert!(answer.contains("/one"), "{answer}");
    assert!(!answer.contains("/two"), "{answer}");
    assert!(answer.contains("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn switch_that_was_not_asked_for_is_refused() {
    let asked = [
        "",
        "connection: upgrade\nupgrade: other\n",
        "upgrade: websocket\n",
    ];
    for fields in asked {
        let server = raw_upstream(|mut stream| async move {
            read_head(&mut stream).await;
            let answer = "HTTP/1.1 101 Yes\nconnection: upgrade\nupgrade: websocket\n\nsecret";
            stream.write_all(crlf(answer).as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let _reset = stream.read_to_end(&mut rest).await;
        })
        .await;
        let rig = Rig::new(server).await;
        let close = if fields.is_empty() {
            "connection: close\n"
        } else {
            ""
        };
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let request = format!(
            "GET / HTTP/1.1\nhost: {}\n{fields}{close}\n",
            host(server.port())
        );
        stream.write_all(crlf(&request).as_bytes()).await.unwrap();
        let head = soon("answer", read_head(&mut stream)).await;
        assert!(head.starts_with("HTTP/1.1 404"), "{fields}: {head}");
    }
}

async fn editor_upgrade(rig: &Rig, fields: &str) -> String {
    editor_upgrade_at(rig, "", fields).await
}

/// The status of an upgrade whose `Host` ends with `port`.
async fn editor_upgrade_at(rig: &Rig, port: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\nhost: {ID}.{DOMAIN}{port}\nconnection: upgrade\nupgrade: websocket\n{fields}\n"
    );
    stream.write_all(crlf(&request).as_bytes()).await.unwrap();
    let head = soon("answer", read_head(&mut stream)).await;
    head.get(9..12).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn attack_22_page_of_another_origin_cannot_connect_to_the_editor() {
    let server = echo_after_101().await;
    let rig = Rig::new(server).await;
    let cookie = format!("cookie: _example_com_ws_i-1_owner_={TOKEN}\n");
    let cases = [
        ("", "101"), // no browser sends an upgrade without it
        (
            "origin: https://pink-panda-ns35kd21.ws.example.com\n",
            "101",
        ),
        (
            "origin: https://3000-pink-panda-ns35kd21.ws.example.com\n",
            "101",
        ),
        ("origin: https://example.com\n", "101"), // the installation
        (
            "origin: https://grey-goose-ns35kd21.ws.example.com\n",
            "403",
        ),
        ("origin: https://v--0123abc.ws.example.com\n", "403"),
        ("origin: https://example.com.evil.test\n", "403"),
        ("origin: null\n", "403"),
        (
            "origin: https://example.com\norigin: https://evil.test\n",
            "403",
        ),
    ];
    for (origin, expected) in cases {
        let got = editor_upgrade(&rig, &format!("{cookie}{origin}")).await;
        assert_eq!(got, expected, "{origin}");
    }
    // What shows the token in a header is no web page.
    let header = format!("x-gitpod-owner-token: {TOKEN}\norigin: https://evil.test\n");
    assert_eq!(editor_upgrade(&rig, &header).await, "101");
    assert_eq!(editor_upgrade(&rig, "").await, "401");
}

#[tokio::test]
async fn attack_22_page_at_another_scheme_or_port_is_of_another_origin() {
    let server = echo_after_101().await;
    let cookie = format!("cookie: _example_com_ws_i-1_owner_={TOKEN}\n");
    let cases = [
        (Scheme::Http, 8080, ":8080", "http://HOST:8080", "101"),
        (Scheme::Http, 8080, ":8080", "http://3000-HOST:8080", "101"),
        (
            Scheme::Http,
            8080,
            ":8080",
            "http://example.com:8080",
            "101",
        ),
        (Scheme::Http, 8080, ":8080", "http://HOST:1", "403"),
        (Scheme::Http, 8080, ":8080", "http://HOST", "403"),
        (Scheme::Http, 8080, ":8080", "https://HOST:8080", "403"),
        (Scheme::Http, 8080, ":8080", "http://example.com:1", "403"),
        (Scheme::Http, 8080, ":8080", "HOST:8080", "403"),
        (Scheme::Http, 8080, ":9000", "http://HOST:9000", "101"), // a forwarded port
        (Scheme::Http, 8080, ":9000", "http://HOST:1", "403"),
        (Scheme::Https, 443, "", "https://HOST", "101"),
        (Scheme::Https, 443, "", "https://HOST:443", "101"),
        (Scheme::Https, 443, "", "http://HOST", "403"),
        (Scheme::Https, 443, "", "https://HOST:1", "403"),
        (Scheme::Http, 80, "", "http://HOST", "101"),
    ];
    for (scheme, port, asked, origin, expected) in cases {
        let rig = Rig::changed(server, |proxy| {
            proxy.with_forward(|forward| forward.with_public_address(scheme, port))
        })
        .await;
        let origin = origin.replace("HOST", &format!("{ID}.{DOMAIN}"));
        let fields = format!("{cookie}origin: {origin}\n");
        let got = editor_upgrade_at(&rig, asked, &fields).await;
        assert_eq!(got, expected, "{origin} at {scheme:?} {port}");
    }
}

#[tokio::test]
async fn websocket_request_is_valid_for_the_server() {
    // A client of the library checks the accept key, so every field has passed unchanged.
    let server = websocket_echo().await;
    let rig = Rig::new(server).await;
    let mut request = format!("ws://{ID}.{DOMAIN}/")
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("x-gitpod-owner-token", TOKEN.parse().unwrap());
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let echo = soon("echo", socket.next()).await.unwrap().unwrap();
    assert_eq!(echo, Message::text("hello"));
}
