//! Servers that answer before they have read a request, and close: their answer counts.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than sockets and the proxy hold, so that most of it is never read.
const LENGTH: usize = 8 << 20;

/// The answer to an upload, of which the client hears while it sends.
async fn upload(rig: &Rig, port: u16, chunked: bool) -> String {
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let length = match chunked {
        true => "transfer-encoding: chunked".to_owned(),
        false => format!("content-length: {LENGTH}"),
    };
    let host = host(port);
    let head = format!("POST / HTTP/1.1\nhost: {host}\nconnection: close\n{length}\n\n");
    let sending = tokio::spawn(async move {
        to.write_all(crlf(&head).as_bytes()).await?;
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..LENGTH / piece.len() {
            if chunked {
                to.write_all(b"10000\r\n").await?;
            }
            to.write_all(&piece).await?;
            if chunked {
                to.write_all(b"\r\n").await?;
            }
        }
        if chunked {
            to.write_all(b"0\r\n\r\n").await?;
        }
        Ok::<_, std::io::Error>(to)
    });
    let mut answer = Vec::new();
    let _reset = soon("an answer", from.read_to_end(&mut answer)).await;
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn rounds(answer: &'static str, says_close: &'static str) {
    let server = raw_upstream(move |mut stream| async move {
        read_head(&mut stream).await;
        let length = answer.len();
        let text =
            format!("HTTP/1.1 {answer}\r\ncontent-length: {length}\r\n{says_close}\r\n{answer}");
        stream.write_all(text.as_bytes()).await.unwrap();
        // It closes with bytes unread, which resets the connection.
    })
    .await;
    let rig = Rig::new(server).await;
    let mut lost = Vec::new();
    for round in 0..100 {
        let said = upload(&rig, server.port(), round % 2 == 0).await;
        if !said.starts_with(&format!("HTTP/1.1 {answer}\r\n")) || !said.ends_with(answer) {
            lost.push((round, said.chars().take(60).collect::<String>()));
        }
    }
    assert!(
        lost.is_empty(),
        "{} of 100: {:?}",
        lost.len(),
        &lost[..lost.len().min(10)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_of_a_large_upload_is_told_though_the_server_has_closed() {
    rounds("413 Content Too Large", "connection: close\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_before_the_end_of_an_upload_is_told_though_the_server_has_closed() {
    rounds("200 OK", "").await;
}
