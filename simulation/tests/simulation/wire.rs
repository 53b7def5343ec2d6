//! Connections of the simulated network, and what is built on them.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt};
use tonic::transport::{Channel, Endpoint};
use turmoil::net::{TcpListener, TcpStream};

/// Where each server listens.
pub(crate) const MANAGER_PORT: u16 = 9000;
pub(crate) const PROXY_PORT: u16 = 80;
pub(crate) const POD_PORT: u16 = 3000;

pub(crate) async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
}

/// The manager, over a channel with the limits of our programs.
pub(crate) fn manager() -> Channel {
    let dial = tower::service_fn(|_: Uri| async {
        let stream = TcpStream::connect(("manager", MANAGER_PORT)).await?;
        Ok::<_, io::Error>(TokioIo::new(stream))
    });
    Endpoint::from_static("http://manager")
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(dial)
}

/// A line without its end; at most 100 bytes.
pub(crate) async fn read_line(mut stream: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < 100 {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            byte => line.push(byte),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}
