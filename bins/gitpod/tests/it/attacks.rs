//! Attacks on the whole program: that what the proxy's own tests check is in place in it, and
//! what only it has, such as a log and a machine. `docs/security-tests.md` has them all.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::harness::{PATIENCE, Up, Workspace, free_port, program, repository};
use crate::page_visitor::Visitor;

/// A workspace with a web server on `port`, which answers.
fn serving(up: &Up, port: u16) -> Workspace {
    let server = program("web.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: exec python3 {} {port}\n",
        server.display()
    );
    let workspace = up.start(repository(&[(".gitpod.yml", &yml)]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    workspace
}

/// What comes back for `bytes`, until the connection ends.
fn send(up: &Up, bytes: &str) -> String {
    let mut stream = TcpStream::connect(up.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may have been closed before all of a bad request has come.
    let _closed = stream.write_all(bytes.as_bytes());
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn attack_13_what_is_unclear_on_the_wire_is_refused_by_the_program_too() {
    let up = Up::new();
    let port = free_port();
    let workspace = serving(&up, port);
    let (host, token) = (workspace.host(port), workspace.token());
    let start = format!("Host: {host}\r\nx-gitpod-owner-token: {token}\r\n");
    let heads = [
        format!("POST / HTTP/1.1\r\n{start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        format!("POST / HTTP/1.1\r\n{start}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        format!("POST / HTTP/1.1\r\n{start}Content-Length: 4\r\nContent-Length: 4\r\n"),
        format!("POST / HTTP/1.1\r\n{start}Transfer-Encoding: xchunked\r\n"),
        format!("GET / HTTP/1.1\n{start}"),
        format!("GET / HTTP/1.1\r\n{start}Host: {host}\r\n"),
        format!("GET http://{host}@evil.test/ HTTP/1.1\r\n{start}"),
    ];
    for head in heads {
        let next = format!("GET /headers HTTP/1.1\r\n{start}Connection: close\r\n\r\n");
        let answer = send(&up, &format!("{head}\r\n0\r\n\r\n{next}"));
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{head}: {answer}");
    }
}

#[test]
fn attack_09_a_port_of_the_program_itself_is_no_port_of_a_workspace() {
    let up = Up::new();
    let port = free_port();
    let workspace = serving(&up, port);
    let own = up.address().rsplit_once(':').unwrap().1;
    let ssh = up.ready["ssh"].as_str().and_then(|a| a.rsplit_once(':'));
    for port in [Some(own), ssh.map(|(_, port)| port)].into_iter().flatten() {
        let answer = up.owner_request(&workspace, port.parse().unwrap(), "/");
        assert!(answer.status() >= 400, "{port}: {}", answer.0);
        assert!(!answer.0.contains("SSH-"), "{port}: {}", answer.0);
    }
}

#[test]
fn attack_51_what_a_client_says_adds_nothing_to_log_or_events() {
    let up = Up::new();
    let port = free_port();
    let workspace = serving(&up, port);
    let hosts = [
        workspace.host(port),
        "INJECTED.ws.localhost".to_owned(),
        format!("{}-INJECTED.evil.test", workspace.host(port)),
    ];
    for host in hosts {
        for target in [
            "/INJECTED%0aINJECTED%0d",
            "/?INJECTED=%1b[31m",
            "/\u{1b}INJECTED",
        ] {
            let head = format!(
                "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: INJECTED\r\nX-INJECTED: INJECTED\r\n\
                 x-gitpod-owner-token: INJECTED\r\nCookie: INJECTED=INJECTED\r\nConnection: close\r\n\r\n"
            );
            assert!(!send(&up, &head).is_empty(), "{host} {target}");
        }
    }
    assert!(!up.log().contains("INJECTED"), "{}", up.log());
    let events = format!("{:?}", up.events());
    assert!(!events.contains("INJECTED"), "{events}");
}

#[test]
fn attack_36_pages_are_told_to_come_again_at_different_times() {
    let up = Up::new();
    let owner = Visitor::signed_in(&up);
    let cookie = owner.cookie.as_deref().unwrap();
    let head = format!(
        "GET /api/events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
        owner.host
    );
    let times: BTreeSet<u64> = (0..12)
        .map(|_| {
            let mut stream = TcpStream::connect(up.address()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let line = BufReader::new(stream).lines().map(Result::unwrap);
            let time = line.filter_map(|line| line.strip_prefix("retry:")?.trim().parse().ok());
            time.into_iter().next().unwrap()
        })
        .collect();
    assert!(times.len() > 6, "{times:?}");
    let is_soon = |time: &u64| (500..=2500).contains(time);
    assert!(times.iter().all(is_soon), "milliseconds: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_36_storm_from_one_source_is_held_off_and_others_come_in() {
    let up = Up::with(&["--limit", "connections-per-local-source=30"]);
    let address: SocketAddr = up.address().parse().unwrap();
    let ask = async |from: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let head = b"GET / HTTP/1.1\r\nHost: nobody.ws.localhost\r\n\r\n";
        let _sent_away = stream.write_all(head).await;
        let mut status = [0; 12];
        let is_answered = stream.read_exact(&mut status).await.is_ok();
        (is_answered && status.starts_with(b"HTTP/1.1 404"), stream)
    };
    // They stay, as browsers do.
    let storm = join_all((0..300).map(|_| ask("127.0.0.1:0"))).await;
    let answered = storm.iter().filter(|(is_answered, _)| *is_answered).count();
    assert_eq!(answered, 30);
    for _ in 0..10 {
        assert!(ask("127.0.0.2:0").await.0);
    }
    drop(storm);
    while !ask("127.0.0.1:0").await.0 {}
}

#[test]
fn attack_47_nobody_says_by_the_proxy_protocol_where_a_connection_comes_from() {
    let up = Up::with(&["--limit", "head-time=500ms"]);
    let port = free_port();
    let workspace = serving(&up, port);
    let (host, token) = (workspace.host(port), workspace.token());
    let request = format!(
        "GET /headers HTTP/1.1\r\nHost: {host}\r\nx-gitpod-owner-token: {token}\r\nConnection: close\r\n\r\n"
    );
    let binary = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x06\x06\x06\x06\x07\x07\x07\x07\0\x50\0\x50";
    for said in [
        "PROXY TCP4 6.6.6.6 7.7.7.7 80 80\r\n",
        "PROXY UNKNOWN\r\n",
        binary,
    ] {
        let answer = send(&up, &format!("{said}{request}"));
        assert!(!answer.contains(" 200 "), "{said:?}: {answer}");
        assert!(!answer.contains("6.6.6.6"), "{said:?}: {answer}");
    }
    let plain = send(&up, &request);
    assert!(
        plain.contains("127.0.0.1") && !plain.contains("6.6.6.6"),
        "{plain}"
    );
    // One that comes in drops is a head like any other, and has as much time.
    for stalled in ["PROXY TCP4 6.6", &binary[..8]] {
        assert!(!send(&up, stalled).contains(" 200 "), "{stalled:?}");
    }
    assert_eq!(up.owner_request(&workspace, port, "/").status(), 200);
}
