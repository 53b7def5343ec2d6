//! Talking to a supervisor over its unix socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::short_path::ShortPath;

/// Connects to the socket at `path`, however long that is.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(ShortPath::of(path)?.as_path()).await
}

/// What the supervisor at `socket` answers to a GET of `path`.
pub(crate) async fn ask(socket: &Path, path: &str) -> io::Result<Value> {
    let stream = connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let request = Request::get(path)
            .header("host", "localhost")
            .body(Empty::<Bytes>::new());
        let response = sender
            .send_request(request.map_err(io::Error::other)?)
            .await;
        let response = response.map_err(io::Error::other)?;
        if response.status() != StatusCode::OK {
            return Err(io::Error::other(format!(
                "supervisor answers {}",
                response.status()
            )));
        }
        let body = Limited::new(response.into_body(), LONGEST_ANSWER)
            .collect()
            .await;
        serde_json::from_slice(&body.map_err(io::Error::other)?.to_bytes())
            .map_err(io::Error::other)
    };
    tokio::pin!(exchange, connection);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            _ = &mut connection, if open => open = false, // the exchange says what that means
        }
    }
}

/// A status is some hundred bytes; a megabyte is a mistake.
const LONGEST_ANSWER: usize = 1 << 20;

/// Has the supervisor at the other end of `stream` connect to `port` of its own
/// loopback; `None` if nobody listens there. What is sent from then on reaches that.
pub(crate) async fn tunnel(stream: UnixStream, port: u16) -> io::Result<Option<TokioIo<Upgraded>>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends with the exchange; what is upgraded lives on without it.
    tokio::spawn(connection.with_upgrades());
    let target = format!("127.0.0.1:{port}");
    let request = Request::connect(&target)
        .header("host", &target)
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await;
    let response = response.map_err(io::Error::other)?;
    match response.status() {
        StatusCode::OK => {
            let upgraded = hyper::upgrade::on(response).await;
            Ok(Some(TokioIo::new(upgraded.map_err(io::Error::other)?)))
        }
        StatusCode::NOT_FOUND => Ok(None),
        other => Err(io::Error::other(format!("supervisor answers {other}"))),
    }
}

/// Waits until the supervisor at `socket` says that its IDE is up, or that there
/// will be none.
pub(crate) async fn ready(socket: &Path) {
    let mut pause = Duration::from_millis(5); // it needs some 10 ms to get up
    loop {
        let answer = ask(socket, "/_supervisor/v1/status/ide/wait/true").await;
        if answer.is_ok_and(|answer| answer.get("ok") == Some(&Value::Bool(true))) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}
