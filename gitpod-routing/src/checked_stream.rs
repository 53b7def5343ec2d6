//! Requests that are unclear on the wire, seen before a server tidies them up.

mod patience;
mod scan;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::patience::Patience;
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
    patience: Option<Patience>,
}

impl<T> CheckedStream<T> {
    /// Checks what comes in on `inner`.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            scanner: Scanner::new(),
            patience: None,
        }
    }

    /// Fails writes once the client has taken nothing of them for `longest`: whoever asks for
    /// much and reads nothing must not hold what the answer is made of for ever.
    #[must_use]
    pub fn with_write_patience(mut self, longest: Duration) -> Self {
        self.patience = Some(Patience::new(longest));
        self
    }

    /// What came of a write, if it did not wait too long.
    fn wrote<R>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let Some(patience) = &mut self.patience else {
            return write;
        };
        match write {
            Poll::Ready(done) => {
                patience.rest();
                Poll::Ready(done)
            }
            Poll::Pending if patience.poll_over(cx).is_ready() => {
                metrics::counter!("gitpod_limit_refusals_total", "limit" => "send-idle")
                    .increment(1);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
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
        let write = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(cx, write)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attack_34_client_that_reads_nothing_is_waited_for_so_long_and_no_longer() {
        let (near, mut far) = duplex(8);
        let mut near = CheckedStream::new(near).with_write_patience(Duration::from_secs(5));
        near.write_all(b"12345678").await.unwrap();
        let slow = tokio::spawn(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                far.read_u8().await.unwrap();
            }
            far // and nothing more
        });
        let began = tokio::time::Instant::now();
        let end = near.write_all(b"12345").await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), Duration::from_secs(17)); // 3 x 4 s, and then 5 s
        drop(slow.await.unwrap());
    }
}
