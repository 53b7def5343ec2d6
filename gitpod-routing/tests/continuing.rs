//! `Expect: 100-continue` to servers that answer without asking for the body.
//!
//! In a program of its own: nothing in it may panic, in no task.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |why| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            usual(why);
        }));
    });
}

/// Answers `401` at once, and ends the answer when the body that it never asked for is there.
async fn refusing() -> SocketAddr {
    raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let head = "HTTP/1.1 401 No\ncontent-length: 2\n\n";
        stream.write_all(crlf(head).as_bytes()).await.unwrap();
        read_text(&mut stream, "hello").await;
        stream.write_all(b"no").await.unwrap();
    })
    .await
}

#[tokio::test]
async fn final_answer_instead_of_continue_reaches_an_http_1_client_whole() {
    count_panics();
    let server = refusing().await;
    let rig = Rig::new(server).await;
    let request = format!(
        "POST / HTTP/1.1\nhost: {}\nconnection: close\nexpect: 100-continue\ncontent-length: 5\n\nhello",
        host(server.port())
    );
    let answer = soon("answer", rig.raw(&request)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nno"), "{answer}");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn final_answer_instead_of_continue_reaches_an_http_2_client_whole() {
    count_panics();
    let server = refusing().await;
    let rig = Rig::new(server).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{}/", host(server.port())))
        .header("expect", "100-continue")
        .body(Full::new(Bytes::from("hello")))
        .unwrap();
    let response = soon("answer", sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 401);
    let body = soon("body", response.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "no");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}
