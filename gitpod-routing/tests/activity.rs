//! What counts as use of a workspace while something is open, and what does not.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than streams wait between two reports. The clock is paused: nobody waits for it.
const PAUSE: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

/// How often use was reported while a server answered with `head` and then sent `part` time
/// and again, `ROUNDS` times. The client sends `request`, and `said` before each part.
async fn reports(request: &str, said: &[u8], head: &str, part: &[u8]) -> u64 {
    let (head, sent) = (crlf(head), part.to_vec());
    let heard = said.len();
    let server = raw_upstream(move |mut stream| {
        let (head, sent) = (head.clone(), sent.clone());
        async move {
            read_head(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..ROUNDS {
                let mut said = vec![0; heard];
                stream.read_exact(&mut said).await.unwrap();
                tokio::time::sleep(PAUSE).await;
                stream.write_all(&sent).await.unwrap();
            }
            std::future::pending::<()>().await;
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let request = crlf(&format!("{request}host: {}\n\n", host(server.port())));
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = read_head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    for _ in 0..ROUNDS {
        client.write_all(said).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(part) {
            let mut byte = [0];
            client.read_exact(&mut byte).await.unwrap();
            seen.push(byte[0]);
        }
    }
    rig.activity.uses_of(&info(&[]))
}

const UPGRADE: &str = "GET / HTTP/1.1\nconnection: upgrade\nupgrade: websocket\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13\n";
const SWITCHED: &str = "HTTP/1.1 101 x\nconnection: upgrade\nupgrade: websocket\n\n";

#[tokio::test(start_paused = true)]
async fn attack_34_websocket_with_pings_only_is_not_used() {
    let pings = reports(UPGRADE, b"\x89\x80mask", SWITCHED, b"\x8a\x00").await;
    assert_eq!(pings, 1, "the request itself");
}

#[tokio::test(start_paused = true)]
async fn websocket_with_messages_either_way_is_used() {
    let rounds = u64::try_from(ROUNDS).unwrap();
    let up = reports(UPGRADE, b"\x81\x81mask!", SWITCHED, b"\x8a\x00").await;
    assert!(up >= rounds, "{up}");
    let down = reports(UPGRADE, b"\x89\x80mask", SWITCHED, b"\x81\x01!").await;
    assert!(down >= rounds, "{down}");
}

#[tokio::test(start_paused = true)]
async fn events_are_no_use_and_downloads_are() {
    let get = "GET / HTTP/1.1\n";
    let events = "HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n";
    assert_eq!(reports(get, b"", events, b": still here\n\n").await, 1);
    let file = "HTTP/1.1 200 OK\ncontent-length: 1000000\n\n";
    let downloads = reports(get, b"", file, b"part").await;
    assert!(downloads > 3, "{downloads}");
}

#[tokio::test(start_paused = true)]
async fn bytes_of_another_protocol_and_of_uploads_are_use() {
    let upgrade = "GET / HTTP/1.1\nconnection: upgrade\nupgrade: tunnel\n";
    let switched = "HTTP/1.1 101 x\nconnection: upgrade\nupgrade: tunnel\n\n";
    let tunnel = reports(upgrade, b"\x89", switched, b"\x89").await;
    assert!(tunnel > 3, "{tunnel}");
    let post = "POST / HTTP/1.1\ncontent-length: 1000000\n";
    let events = "HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n";
    let upload = reports(post, b"part", events, b"got it").await;
    assert!(upload > 3, "{upload}");
}

#[tokio::test(start_paused = true)]
async fn requests_ahead_of_time_and_health_checks_are_no_use() {
    let file = "HTTP/1.1 200 OK\ncontent-length: 1000000\n\n";
    for fields in ["sec-purpose: prefetch", "user-agent: ELB-HealthChecker/2.0"] {
        let request = format!("GET / HTTP/1.1\n{fields}\n");
        assert_eq!(reports(&request, b"", file, b"part").await, 0, "{fields}");
    }
}

/// A page that goes elsewhere by itself.
const SENT_ON: &str = "sec-fetch-mode: navigate\nsec-fetch-site: same-origin\n";

/// A server with a page of four bytes.
async fn page() -> Rig {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let page = "HTTP/1.1 200 OK\ncontent-length: 4\n\npage";
        stream.write_all(crlf(page).as_bytes()).await.unwrap();
    });
    Rig::new(server.await).await
}

fn port(rig: &Rig) -> u16 {
    rig.workspaces.get(&id()).unwrap().ports[0].number
}

#[tokio::test]
async fn page_that_reloads_itself_is_no_use_but_a_download_that_it_begins_is() {
    let rig = page().await;
    let host = host(port(&rig));
    let request = format!("GET / HTTP/1.1\nhost: {host}\nconnection: close\n{SENT_ON}\n");
    assert!(rig.raw(&request).await.ends_with("page"));
    assert_eq!(rig.activity.uses_of(&info(&[])), 0);

    tokio::time::pause();
    let file = "HTTP/1.1 200 OK\ncontent-length: 1000000\n\n";
    let download = format!("GET / HTTP/1.1\n{SENT_ON}");
    let reports = reports(&download, b"", file, b"part").await;
    assert!(reports >= 3, "{reports}");
}

#[tokio::test]
async fn nobody_keeps_a_workspace_by_what_nothing_in_it_answers() {
    let rig = page().await;
    let port = port(&rig);
    let closed = free_port().await;
    let mut known = info(&[port, closed]);
    known.ports[1] = known.ports[1].public();
    rig.workspaces.insert(known);
    let ask = |port: u16, method: &str, fields: &str| {
        let host = host(port);
        let head = format!("{method} / HTTP/1.1\nhost: {host}\nconnection: close\n{fields}\n");
        let rig = &rig;
        async move { rig.raw(&head).await }
    };
    let token = format!("x-gitpod-owner-token: {TOKEN}\n");
    let preflight = format!("{token}access-control-request-method: POST\norigin: null\n");
    let uses = || rig.activity.uses_of(&info(&[]));

    assert!(ask(closed, "GET", "").await.starts_with("HTTP/1.1 404"));
    ask(port, "OPTIONS", &preflight).await;
    assert_eq!(uses(), 0);
    // Its owner looks for it, and a guest finds somebody.
    assert!(ask(closed, "GET", &token).await.starts_with("HTTP/1.1 404"));
    assert_eq!(uses(), 1);
    assert!(ask(port, "GET", "").await.ends_with("page"));
    assert_eq!(uses(), 2);
}

/// A port on which nobody listens.
async fn free_port() -> u16 {
    let holder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    holder.local_addr().unwrap().port()
}
