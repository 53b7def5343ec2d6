//! What workspaces may not do to a client by the head of an answer.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Answers every request with `head`, in which `{own}` is the host asked for, and closes.
async fn answering(head: String) -> std::net::SocketAddr {
    raw_upstream(move |mut stream| {
        let head = head.clone();
        async move {
            let asked = read_head(&mut stream).await;
            let own = asked.lines().find_map(|line| line.strip_prefix("host: "));
            let own = own.and_then(|host| host.split(':').next());
            let head = crlf(&head).replace("{own}", own.unwrap_or_default());
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn server_of_http_1_0_does_not_close_the_connection_of_the_client() {
    for framing in ["content-length: 2\n", ""] {
        let server = answering(format!("HTTP/1.0 200 OK\n{framing}\nhi")).await;
        let rig = Rig::new(server).await;
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let request = crlf(&format!(
            "GET / HTTP/1.1\nhost: {}\n\n",
            host(server.port())
        ));
        let body = match framing {
            "" => "2\r\nhi\r\n0\r\n\r\n",
            _ => "hi",
        };
        for _ in 0..2 {
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = soon("head", read_head(&mut stream)).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            assert!(!head.contains("connection: close"), "{head}");
            soon("body", read_text(&mut stream, body)).await;
        }
    }
}

/// The `Set-Cookie` fields that come through of `cookies`.
async fn set_by_workspace(cookies: &[String], reference: bool) -> Vec<String> {
    let mut head = "HTTP/1.1 200 OK\ncontent-length: 0\n".to_owned();
    for cookie in cookies {
        head += &format!("set-cookie: {cookie}\n");
    }
    let server = answering(head + "\n").await;
    let rig = Rig::changed(server, |proxy| {
        proxy.with_forward(|forward| match reference {
            true => forward.with_reference_headers(),
            false => forward,
        })
    })
    .await;
    let host = host(server.port());
    let request = format!("GET / HTTP/1.1\nhost: {host}:8080\nconnection: close\n\n");
    let answer = soon("answer", rig.raw(&request)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
        .lines()
        .filter_map(|line| line.strip_prefix("set-cookie: "))
        .map(|cookie| cookie.replace(&host, "{own}"))
        .collect()
}

fn owned(cookies: &[&str]) -> Vec<String> {
    cookies.iter().map(|&cookie| cookie.into()).collect()
}

#[tokio::test]
async fn attacks_23_and_25_workspace_cannot_set_cookies_of_its_siblings() {
    let refused = owned(&[
        "a=1; Domain=ws.example.com",
        "a=1; Domain=.example.com",
        "a=1;domain = .COM ; Path=/",
        "a=1; Domain=other.ws.example.com; Domain=",
        "a=1; Domain=\"ws.example.com\"",
        "a=1; Domain=.",
        "=_example_com_ws_i-1_owner_=bad",
        "= a=1",
        "=_example_com_ws_i-1_owner_",
        "_example_com_ws_i-1_owner_=bad",
        "_example_com_ws_i-1_owner_",
        "__Secure-_example_com_x=bad; Secure",
    ]);
    assert_eq!(set_by_workspace(&refused, false).await, owned(&[]));
    assert_eq!(set_by_workspace(&refused, true).await, refused);
}

#[tokio::test]
async fn workspace_sets_cookies_of_its_own_host() {
    let kept = owned(&[
        "a=1",
        "a=b=c; Path=/; HttpOnly",
        "flag",
        "=flag",
        "a=domain; X-Domain=ws.example.com",
        "a=1; Domain=",
        "a=1; Path=/; domain = .{own}",
        "__Host-a=1; Secure; Path=/",
    ]);
    assert_eq!(set_by_workspace(&kept, false).await, kept);
}
