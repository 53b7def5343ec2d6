//! Connections to servers, and gRPC channels over them.

use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::{Channel, Endpoint};

use crate::listen::Address;
use crate::tls::ClientTls;

/// A channel to `address`, which connects when it is first used, and again when it is lost.
///
/// Limits are those of the reference's clients: a connection within 5 s, and a ping every 10 s that must be
/// answered, so that a server that has vanished is seen.
#[must_use]
pub fn channel(address: &Address, tls: Option<ClientTls>) -> Channel {
    let address = address.clone();
    let dial = tower::service_fn(move |_: Uri| {
        let dialled = dial(address.clone(), tls.clone(), b"h2");
        async move { Ok::<_, std::io::Error>(TokioIo::new(dialled.await?)) }
    });
    Endpoint::from_static("http://ws-manager")
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(dial)
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) async fn dial(
    address: Address,
    tls: Option<ClientTls>,
    protocol: &'static [u8],
) -> std::io::Result<Box<dyn Stream>> {
    let (host, port) = match address {
        Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Tcp { host, port } => (host, port),
    };
    let host = if host.is_empty() {
        "localhost".to_owned()
    } else {
        host
    };
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.connect(stream, protocol).await?),
    })
}
