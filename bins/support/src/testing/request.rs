//! One request over a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::authority::Authority;
use super::program::PATIENCE;

/// What was answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer(pub String);

impl Answer {
    /// Its status; 0 if there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = self.0.split(' ').nth(1).unwrap_or("0");
        status.parse().unwrap_or(0)
    }

    /// What comes after the head.
    #[must_use]
    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.0.split("\r\n\r\n").next()?.lines();
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// `GET path` of `host` at `address`.
#[must_use]
pub fn request(address: SocketAddr, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    exchange(dial(address), &head("GET", host, path, headers, ""))
}

/// `method path` over TLS at `address`, to a server whose certificate is for `host`.
#[must_use]
pub fn https_request(
    address: SocketAddr,
    authority: &Authority,
    host: &str,
    request: (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    https_request_named(address, authority, host, host, request, headers, body)
}

/// The same over a connection that asks for `name` in TLS.
#[must_use]
pub fn https_request_named(
    address: SocketAddr,
    authority: &Authority,
    name: &str,
    host: &str,
    request: (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(client_config(authority).into(), name).unwrap();
    let stream = StreamOwned::new(connection, dial(address));
    exchange(stream, &head(request.0, host, request.1, headers, body))
}

/// `GET /` of `host` in HTTP/2, over a connection that asks for `name` in TLS: the status and what the answer says.
pub async fn https_two_request(
    address: SocketAddr,
    authority: &Authority,
    name: &str,
    host: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let mut config = client_config(authority);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(name.to_owned()).unwrap(), stream)
        .await
        .unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::get(format!("https://{host}/"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    (head.status.as_u16(), body)
}

fn client_config(authority: &Authority) -> ClientConfig {
    ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth()
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn head(method: &str, host: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{head}\r\n{body}")
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = Vec::new();
    // TLS servers may end without a word; what came before counts.
    let _ = stream.read_to_end(&mut text);
    Answer(String::from_utf8_lossy(&text).into_owned())
}
