//! Workspaces that take each other's place, or want more than their own.

use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gitpod_routing::{OwnerToken, PortInfo, RunState, WorkspaceInfo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::*;
use crate::world::{OTHER, World, status};

/// `workspace` on `port` of 127.0.0.1, by the run `run`.
fn at_the_address(workspace: &str, run: &str, port: u16) -> WorkspaceInfo {
    let info = WorkspaceInfo::new(
        workspace.parse().unwrap(),
        instance(run),
        OwnerToken::new("t"),
    );
    info.running_at([127, 0, 0, 1].into())
        .with_ports(vec![PortInfo::new(port).public()])
}

#[tokio::test]
async fn attack_11_an_address_that_went_to_another_workspace_gets_none_of_the_requests_before() {
    // Tells the number of the connection that a request came on.
    let connections = Arc::new(AtomicUsize::new(0));
    let server = raw_upstream(move |mut stream| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        async move {
            while !read_head(&mut stream).await.is_empty() {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let rig = Rig::new(server).await;
    let port = server.port();
    rig.workspaces.insert(at_the_address(ID, "i-1", port));
    let ask = async |workspace: &str| {
        let host = format!("{port}-{workspace}.{DOMAIN}");
        let request = format!("GET / HTTP/1.1\nhost: {host}\nconnection: close\n\n");
        let answer = soon("answer", rig.raw(&request)).await;
        (status(&answer), answer.chars().last())
    };
    assert_eq!(ask(ID).await, (200, Some('0')));
    assert_eq!(
        ask(ID).await,
        (200, Some('0')),
        "its own connection is used again"
    );
    // It stops; what comes in its place gets neither its requests nor its connections.
    let mut stopped = at_the_address(ID, "i-1", port);
    stopped.state = RunState::Stopped;
    rig.workspaces.insert(stopped);
    rig.workspaces.insert(at_the_address(OTHER, "i-2", port));
    assert_eq!(ask(ID).await.0, 503);
    assert_eq!(ask(OTHER).await, (200, Some('1')));
    // Nor does its own next run, there or elsewhere, get a connection of the one before.
    rig.workspaces.insert(at_the_address(ID, "i-3", port));
    assert_eq!(ask(ID).await, (200, Some('2')));
    assert_eq!(ask(OTHER).await, (200, Some('1')));
    // A record without an address is reached by nobody.
    let mut nowhere = at_the_address(ID, "i-3", port);
    nowhere.address = None;
    rig.workspaces.insert(nowhere);
    assert_eq!(ask(ID).await.0, 404);
}

#[tokio::test]
async fn attack_25_and_30_a_workspace_changes_nothing_at_its_siblings() {
    let fields = [
        "clear-site-data: \"cookies\", \"storage\"",
        "set-cookie: a=1; Domain=.ws.example.com",
        "set-cookie: _example_com_ws_i-2_owner_=x",
    ];
    for field in fields {
        let server = answering(format!("HTTP/1.1 200 OK\n{field}\ncontent-length: 0\n\n")).await;
        let rig = Rig::new(server).await;
        let request = format!(
            "GET / HTTP/1.1\nhost: {}\nconnection: close\n\n",
            host(server.port())
        );
        let answer = rig.raw(&request).await;
        assert_eq!(status(&answer), 200);
        let (name, _) = field.split_once(':').unwrap();
        assert!(!answer.contains(name), "{answer}");
    }
}

#[tokio::test]
async fn attack_30_a_worker_of_one_workspace_has_no_scope_on_an_origin_that_others_share() {
    let server = answering(
        "HTTP/1.1 200 OK\nservice-worker-allowed: /\ncontent-type: text/javascript\ncontent-length: 0\n\n".to_owned(),
    )
    .await;
    let rig = Rig::new(server).await;
    let port = server.port();
    // Its own host is its own origin, and its scope is its own affair.
    for (host, target, passes) in [
        (host(port), "/sw.js".to_owned(), true),
        (
            format!("v--0123abc.{DOMAIN}"),
            format!("/{port}-{ID}/sw.js"),
            false,
        ),
    ] {
        let request = format!("GET {target} HTTP/1.1\nhost: {host}\nconnection: close\n\n");
        let answer = rig.raw(&request).await;
        assert_eq!(status(&answer), StatusCode::OK.as_u16(), "{answer}");
        assert_eq!(answer.contains("service-worker-allowed"), passes, "{host}");
    }
}

/// A server that answers with `head`.
async fn answering(head: String) -> std::net::SocketAddr {
    raw_upstream(move |mut stream| {
        let head = crlf(&head);
        async move {
            read_head(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn attack_08_a_location_is_the_browser_s_affair_and_is_not_rewritten() {
    for location in [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/relative",
    ] {
        let server = answering(format!(
            "HTTP/1.1 302 x\nlocation: {location}\ncontent-length: 0\n\n"
        ))
        .await;
        let rig = Rig::new(server).await;
        let request = format!(
            "GET / HTTP/1.1\nhost: {}\nconnection: close\n\n",
            host(server.port())
        );
        let answer = rig.raw(&request).await;
        assert!(
            answer.contains(&format!("location: {location}\r\n")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn attack_13_an_answer_of_unclear_length_is_no_answer() {
    let heads = [
        "content-length: 5\ntransfer-encoding: chunked\n",
        "content-length: 5\ncontent-length: 6\n",
        "content-length: -1\n",
    ];
    for fields in heads {
        let body = "0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
        let (sent, count) = (
            format!("{}{body}", crlf(&format!("HTTP/1.1 200 OK\n{fields}\n"))),
            Arc::new(AtomicUsize::new(0)),
        );
        let counted = Arc::clone(&count);
        let server = raw_upstream(move |mut stream| {
            let (sent, counted) = (sent.clone(), Arc::clone(&counted));
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                read_head(&mut stream).await;
                stream.write_all(sent.as_bytes()).await.unwrap();
                read_head(&mut stream).await;
            }
        })
        .await;
        let rig = Rig::new(server).await;
        let request = crlf(&format!(
            "GET / HTTP/1.1\nhost: {}\n\n",
            host(server.port())
        ));
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let first = soon("answer", read_head(&mut client)).await;
        // Whatever it was taken for: what it left behind is nobody's answer.
        let close = request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let second = soon("answer", rig.raw(&close.replace("\r\n", "\n"))).await;
        assert!(!second.contains("poison"), "{fields}: {first} {second}");
    }
}

#[tokio::test]
async fn attack_24_a_workspace_is_told_no_secret_wherever_a_client_puts_it() {
    let world = World::new().await;
    let secrets = [
        format!("x-gitpod-owner-token: {TOKEN}\n"),
        format!("cookie: a=1; _example_com_ws_i-1_owner_={TOKEN}\n"),
        format!(
            "cookie: _example_com_ws_i-2_owner_={TOKEN}\ncookie: __Host-_example_com_jwt2_={TOKEN}\n"
        ),
        format!("cookie: __Secure-_example_com_x={TOKEN}; b\n"),
        format!("proxy-authorization: Basic {TOKEN}\n"),
        format!("referer: https://{ID}.{DOMAIN}/.gitpod/open?t={TOKEN}\n"),
        format!("X-Gitpod-Anything: {TOKEN}\n"),
    ];
    for fields in secrets {
        let answer = world.get(&world.host(), "/", &fields).await;
        let head = world.seen.take().remove(0).1;
        assert!(!head.contains(TOKEN), "{fields}: {head}");
        assert!(!answer.contains(TOKEN), "{fields}: {answer}");
    }
}
