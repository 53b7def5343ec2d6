//! Nobody takes more than a share: each limit refuses what goes over it and nothing else.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use gitpod_routing::layers::ParseHostLayer;
use gitpod_routing::{HostTarget, OwnerToken, PortInfo, Refusal, Routed, WorkspaceInfo};
use http::{Request, Response};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn attack_21_head_with_too_many_or_too_long_fields_is_refused() {
    let leaf =
        service_fn(|_: Routed<HostTarget, ()>| async { Ok::<_, Infallible>(Response::new(())) });
    let service = ParseHostLayer::new(pattern())
        .with_head_limits(10, 1000)
        .layer(leaf);
    // `Host` is one of the fields.
    let cases = [
        (9, 10, 1, 200),
        (10, 10, 1, 431),
        (1, 940, 1, 200),
        (1, 1000, 1, 431),
        (1, 1, 1000, 431),
    ];
    for (fields, length, target, status) in cases {
        let mut request = Request::get(format!("/{}", "p".repeat(target)));
        request = request.header("host", host(1));
        for number in 0..fields {
            request = request.header(format!("x-{number}"), "v".repeat(length));
        }
        let answer = service
            .clone()
            .oneshot(request.body(()).unwrap())
            .await
            .unwrap();
        let what = format!("{fields} fields of {length}");
        assert_eq!(answer.status(), status, "{what}");
        if status == 431 {
            let reason = answer.extensions().get::<Refusal>().unwrap().reason();
            assert_eq!(
                (reason, &answer.headers()["connection"]),
                ("limit-head", &"close".parse().unwrap())
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn attack_53_body_that_stops_coming_is_given_up_and_a_slow_one_is_not() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let mut body = [0; 10];
        if stream.read_exact(&mut body).await.is_ok() {
            let answer = crlf("HTTP/1.1 200 OK\ncontent-length: 0\n\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let idle = Duration::from_secs(10);
    let rig = Rig::changed(server, |proxy| {
        proxy.with_forward(|forward| forward.with_body_idle_timeout(idle))
    })
    .await;
    for (parts, status) in [(5, "408"), (10, "200")] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\nhost: {}\ncontent-length: 10\n\n",
            host(server.port())
        );
        stream.write_all(crlf(&head).as_bytes()).await.unwrap();
        for _ in 0..parts {
            tokio::time::sleep(idle / 2).await; // the clock is paused
            stream.write_all(b"x").await.unwrap();
        }
        let answer = read_head(&mut stream).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn one_workspace_does_not_take_all_upgrades() {
    let server = raw_upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = crlf("HTTP/1.1 101 x\nconnection: upgrade\nupgrade: tunnel\n\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut rest = [0; 16];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let rig = Rig::changed(server, |proxy| {
        proxy.with_forward(|forward| forward.with_max_upgrades(2))
    })
    .await;
    let other = "blue-whale-ns35kd21";
    let neighbour = WorkspaceInfo::new(
        other.parse().unwrap(),
        instance("i-7"),
        OwnerToken::new("t"),
    )
    .running_at([127, 0, 0, 1].into())
    .with_ports(vec![PortInfo::new(server.port()).public()]);
    rig.workspaces.insert(neighbour);
    let open = async |id: &str| {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let head = format!(
            "GET / HTTP/1.1\nhost: {}-{id}.{DOMAIN}\nconnection: upgrade\nupgrade: tunnel\n\n",
            server.port()
        );
        stream.write_all(crlf(&head).as_bytes()).await.unwrap();
        let answer = soon("an answer", read_head(&mut stream)).await;
        (answer[9..12].to_owned(), stream)
    };
    let mut held = vec![open(ID).await, open(ID).await];
    assert!(held.iter().all(|(status, _)| status == "101"));
    assert_eq!(open(ID).await.0, "503");
    assert_eq!(open(other).await.0, "101");
    // A closed one makes room, once the proxy has noticed.
    drop(held.pop());
    soon("room", async {
        while open(ID).await.0 != "101" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
