//! SIGTERM: nobody new is let in, what is open may finish, WebSockets hear of a restart, and it exits with 0.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gitpod_lifecycle::grpc::client::WorkspacePhase;
use serde_json::json;
use support::testing::{
    ManagerClient, Program, binary, manager_config, proxy_config, repository, request, wait_until,
};
use tempfile::TempDir;

const WORKSPACE: &str = "pink-panda-ns35kd21";
const PATIENCE: Duration = Duration::from_secs(60);

/// A manager, a proxy that drains for so long, and a workspace with things that stay open.
struct Installation {
    _dir: TempDir,
    _repository: TempDir,
    manager: Program,
    proxy: Program,
    http: SocketAddr,
    client: ManagerClient,
    host: String,
    token: String,
}

impl Installation {
    async fn draining(drain: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        drop(holder);
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/programs/streams.py");
        let script = script.canonicalize().unwrap();
        let yml = format!(
            "tasks:\n  - command: exec python3 {} {port}\n",
            script.display()
        );
        let repository = repository(&[(".gitpod.yml", &yml)]);
        let config = manager_config(dir.path());
        let manager = Program::run(&binary("ws-manager"), dir.path(), &config);
        let address = manager.address("gRPC").to_string();
        let mut config = proxy_config(dir.path(), &address);
        config["local"]["drain"] = json!(drain);
        let proxy = Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
        let http = proxy.address("HTTP");
        let mut client = ManagerClient::new(&address, None);
        let started = client.start("run-1", WORKSPACE, repository.path()).await;
        client.reaches("run-1", WorkspacePhase::Running).await;
        let host = format!("{port}-{WORKSPACE}.ws.localhost");
        let token = [("x-gitpod-owner-token", &*started.token)];
        wait_until("an answer of the workspace", || {
            request(http, &host, "/", &token).status() == 200
        });
        Self {
            token: started.token,
            _repository: repository,
            _dir: dir,
            manager,
            proxy,
            http,
            client,
            host,
        }
    }

    /// Has asked `first`, with these fields.
    fn connect(&self, first: &str, fields: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (host, token) = (&self.host, &self.token);
        let head = format!(
            "{first} HTTP/1.1\r\nHost: {host}\r\nx-gitpod-owner-token: {token}\r\n{fields}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// A WebSocket that sends back what it gets.
    fn socket(&self) -> TcpStream {
        let mut stream = self.connect(
            "GET /socket",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        );
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream
    }

    fn terminate(&self) {
        let id = self.proxy.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        wait_until("it lets nobody in", || {
            TcpStream::connect(self.http).is_err()
        });
    }

    /// It has ended as it should, and the workspace has not noticed.
    async fn end(mut self) {
        assert!(self.proxy.wait().success(), "{}", self.proxy.log());
        self.client.reaches("run-1", WorkspacePhase::Running).await;
        self.client.stop("run-1").await;
        self.client.reaches("run-1", WorkspacePhase::Stopped).await;
        assert!(self.manager.stop().success());
    }
}

/// A message, masked with zeros, and what comes back of it.
fn echo(socket: &mut TcpStream, text: &str) {
    let length = u8::try_from(text.len()).unwrap();
    let masked = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
    socket.write_all(&masked).unwrap();
    let expected = [&[0x81, length], text.as_bytes()].concat();
    let mut got = vec![0; expected.len()];
    socket.read_exact(&mut got).unwrap();
    assert_eq!(got, expected);
}

fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_finish_sockets_end_by_themselves_and_then_it_ends() {
    let installation = Installation::draining("60s").await;
    let mut socket = installation.socket();
    let mut upload = installation.connect("POST /upload", "Content-Length: 10\r\n");
    upload.write_all(b"01234").unwrap();
    echo(&mut socket, "before");
    installation.terminate();
    echo(&mut socket, "still here");
    upload.write_all(b"56789").unwrap();
    let answer = String::from_utf8(rest(&mut upload)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("POST /upload 10"), "{answer}");
    drop(socket);
    installation.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_take_longer_than_there_is_time_hear_of_a_restart() {
    let installation = Installation::draining("1s").await;
    let mut sockets = [installation.socket(), installation.socket()];
    let mut download = installation.connect("GET /download", "");
    let mut start = [0; 12];
    download.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    sockets.iter_mut().for_each(|socket| echo(socket, "before"));
    installation.terminate();
    for mut socket in sockets {
        let close = 1012_u16.to_be_bytes();
        assert_eq!(rest(&mut socket), [&[0x88, 2], &close[..]].concat());
    }
    let mut cut = Vec::new();
    let _reset = download.read_to_end(&mut cut);
    assert!(cut.len() < 1 << 30);
    installation.end().await;
}
