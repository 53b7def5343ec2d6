//! What examples need beside their point: a server to route to, and a client.

use std::io;
use std::net::SocketAddr;

use gitpod_routing::{InstanceId, OwnerToken, WorkspaceInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An error of any kind, for `main`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Starts a web server as one runs in a workspace: it greets, and says who asks.
///
/// # Errors
///
/// If no port is free.
pub async fn greeter() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { greet(&mut stream).await });
        }
    });
    Ok(address)
}

async fn greet(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let body = "Hello from inside!";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}

/// A workspace that runs on this host. Its owner's token is `s3cret`.
///
/// # Errors
///
/// Never; the names are constants.
pub fn workspace() -> Result<WorkspaceInfo, gitpod_routing::IdError> {
    let id = "pink-panda-ns35kd21".parse()?;
    let instance: InstanceId = "0f1e2d3c-0000-4000-8000-000000000001".parse()?;
    let info = WorkspaceInfo::new(id, instance, OwnerToken::new("s3cret"));
    Ok(info.running_at([127, 0, 0, 1].into()))
}

/// Asks the server at `address` for `path` of `host`: status, and the first line of the body.
///
/// # Errors
///
/// If the server is not there, or answers in another way.
pub async fn get(address: SocketAddr, host: &str, path: &str, token: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nx-gitpod-owner-token: {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::InvalidData)?;
    let status = head.get(9..12).unwrap_or_default();
    let first_line = body.lines().next().unwrap_or_default();
    Ok(format!("{status} {first_line}"))
}

/// The README's code compiles, too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
