//! One end of a tunnel.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::checked_stream::CheckedStream;
use crate::forward::connect::{Connection, Io};
use crate::forward::heard::Heard;
use crate::forward::spelling::Spelled;

/// A connection that HTTP has left. Where it is a socket and nothing else, it is known as one.
pub(crate) enum Side {
    Socket(TcpStream),
    Connection(Connection),
    Other(Box<TokioIo<Upgraded>>),
}

impl Side {
    /// The side of a client, as a server of hyper gives it, and what HTTP had read too far.
    pub(crate) fn of_client(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<CheckedStream<TcpStream>>>() {
            Ok(parts) => {
                let socket = parts.io.into_inner().into_inner();
                return (Self::Socket(socket), parts.read_buf);
            }
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (Self::Socket(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => Self::other(upgraded),
        }
    }

    /// The side of a workspace, as [`exchange`](crate::forward::exchange) opens it, and what
    /// HTTP had read too far.
    pub(crate) fn of_server(upgraded: Upgraded) -> (Self, Bytes) {
        let (connection, ahead) = match upgraded.downcast::<TokioIo<Heard>>() {
            Ok(parts) => (parts.io.into_inner().into_inner(), parts.read_buf),
            Err(upgraded) => return Self::other(upgraded),
        };
        let side = socket_of(connection).map_or_else(Self::Connection, Self::Socket);
        (side, ahead)
    }

    /// Which gives what was read too far by itself.
    fn other(upgraded: Upgraded) -> (Self, Bytes) {
        let side = Self::Other(Box::new(TokioIo::new(upgraded)));
        (side, Bytes::new())
    }

    /// The socket that this is, if it is one.
    pub(crate) fn as_socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(socket) => Some(socket),
            Self::Connection(_) | Self::Other(_) => None,
        }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match self.get_mut() {
            Self::Socket(socket) => Pin::new(socket),
            Self::Connection(connection) => Pin::new(connection),
            Self::Other(upgraded) => Pin::new(upgraded),
        }
    }
}

impl AsyncRead for Side {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Side {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// The socket that `connection` is, once the head of the request has gone.
fn socket_of(connection: Connection) -> Result<TcpStream, Connection> {
    let connection = match into_type::<Spelled<Connection>>(connection) {
        Ok(spelled) => match spelled.into_inner() {
            Ok(inner) => inner,
            Err(spelled) => return Err(Box::new(spelled)),
        },
        Err(connection) => connection,
    };
    into_type(connection)
}

fn into_type<T: Any>(connection: Connection) -> Result<T, Connection> {
    let any: &dyn Any = &*connection;
    if !any.is::<T>() {
        return Err(connection);
    }
    let any: Box<dyn Any> = connection;
    match any.downcast() {
        Ok(it) => Ok(*it),
        Err(_) => Err(Box::new(tokio::io::empty())), // it is, as was just asked
    }
}
