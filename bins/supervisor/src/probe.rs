use std::net::Ipv4Addr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Whether the server on loopback port `port` answers a `GET /` for `host`, with anything but a server error.
pub(crate) async fn answers(port: u16, host: &str) -> bool {
    let asked = timeout(ANSWERS_WITHIN, ask(port, host)).await;
    asked
        .ok()
        .flatten()
        .is_some_and(|status| !status.is_server_error())
}

async fn ask(port: u16, host: &str) -> Option<StatusCode> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/")
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Body::empty())
        .ok()?;
    let answer = sender.send_request(request).await;
    connection.abort();
    Some(answer.ok()?.status())
}
