use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gitpod_lifecycle::process::ShortPath;
use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::flow::Flow;
use super::socket::Socket;
use super::stream::carry;

/// Where in the workspace a client wants to connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// A name or address, and a port, as programs of the workspace reach them.
    Tcp(String, u16),
    /// A path, relative to the content.
    Unix(String),
}

const WITHIN: Duration = Duration::from_secs(10);

/// Connects a channel to `target`, or refuses it.
pub(super) async fn open(
    target: Target,
    content: &Path,
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    flow: Arc<Flow>,
    _place: OwnedSemaphorePermit,
) {
    let dialled = timeout(WITHIN, dial(&target, content)).await;
    match dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(socket) => {
            reply.accept().await;
            carry(channel, socket, &flow).await;
        }
        Err(why) => {
            tracing::debug!(%why, "a client's connection into the workspace fails");
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        }
    }
}

async fn dial(target: &Target, content: &Path) -> io::Result<Socket> {
    match target {
        Target::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            let _ = stream.set_nodelay(true); // who types wants to see it
            Ok(Socket::Tcp(stream))
        }
        Target::Unix(path) => {
            let short = ShortPath::of(&content.join(path))?;
            Ok(Socket::Unix(UnixStream::connect(short.as_path()).await?))
        }
    }
}
