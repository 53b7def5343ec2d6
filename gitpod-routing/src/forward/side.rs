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
use crate::forward::spelling::Spelled;

/// A connection that HTTP has left. Where it is a socket and nothing else, it is known as one.
pub(crate) struct Side {
    /// What HTTP had read too far.
    ahead: Bytes,
    io: Either,
}

enum Either {
    Socket(TcpStream),
    Connection(Connection),
    Other(TokioIo<Upgraded>),
}

impl Side {
    /// The side of a client, as a server of hyper gives it.
    pub(crate) fn of_client(upgraded: Upgraded) -> Self {
        let upgraded = match upgraded.downcast::<TokioIo<CheckedStream<TcpStream>>>() {
            Ok(parts) => {
                let socket = parts.io.into_inner().into_inner();
                return Self::socket(socket, parts.read_buf);
            }
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => Self::socket(parts.io.into_inner(), parts.read_buf),
            Err(upgraded) => Self::other(upgraded),
        }
    }

    /// The side of a workspace, as [`exchange`](crate::forward::exchange) opens it.
    pub(crate) fn of_server(upgraded: Upgraded) -> Self {
        let (connection, ahead) = match upgraded.downcast::<TokioIo<Connection>>() {
            Ok(parts) => (parts.io.into_inner(), parts.read_buf),
            Err(upgraded) => return Self::other(upgraded),
        };
        match socket_of(connection) {
            Ok(socket) => Self::socket(socket, ahead),
            Err(connection) => Self {
                ahead,
                ..Self::connection(connection)
            },
        }
    }

    pub(crate) fn connection(connection: Connection) -> Self {
        Self {
            ahead: Bytes::new(),
            io: Either::Connection(connection),
        }
    }

    pub(crate) fn socket(socket: TcpStream, ahead: Bytes) -> Self {
        let io = Either::Socket(socket);
        Self { ahead, io }
    }

    fn other(upgraded: Upgraded) -> Self {
        Self {
            ahead: Bytes::new(),
            io: Either::Other(TokioIo::new(upgraded)),
        }
    }

    /// The socket that all further bytes come out of and go into, if it is one.
    pub(crate) fn as_socket(&self) -> Option<&TcpStream> {
        match &self.io {
            Either::Socket(socket) if self.ahead.is_empty() => Some(socket),
            _ => None,
        }
    }
}

impl Either {
    fn stream(&mut self) -> Pin<&mut dyn Io> {
        match self {
            Self::Socket(socket) => Pin::new(socket),
            Self::Connection(connection) => Pin::new(connection),
            Self::Other(upgraded) => Pin::new(upgraded),
        }
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return self.io.stream().poll_read(cx, buf);
        }
        let some = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead.split_to(some));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Side {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.stream().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.stream().poll_shutdown(cx)
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
