//! Requests that are unclear on the wire, seen before a server tidies them up.

mod scan;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::scan::Scanner;

/// A client connection whose HTTP/1.1 requests say once how long they are.
///
/// Servers forgive what proxies and other servers read differently: two lengths, a length
/// beside `Transfer-Encoding`, lines that end in a bare LF. hyper resolves such a request
/// safely and hides it from the services behind; here it is spoiled while it passes, so
/// that the server answers `400 Bad Request` and closes the connection.
///
/// Wrap an accepted connection in it before you give it to the server. HTTP/2, and what
/// follows an upgrade, passes unseen. Nothing is buffered.
///
/// ```
/// # async fn accept(listener: tokio::net::TcpListener) -> std::io::Result<()> {
/// use gitpod_routing::CheckedStream;
///
/// let (stream, _peer) = listener.accept().await?;
/// let stream = CheckedStream::new(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CheckedStream<T> {
    inner: T,
    scanner: Scanner,
}

impl<T> CheckedStream<T> {
    /// Checks what comes in on `inner`.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            scanner: Scanner::new(),
        }
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The connection itself, no longer checked.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for CheckedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if let Some(fresh) = buf.filled_mut().get_mut(before..) {
            self.scanner.scan(fresh);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CheckedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
