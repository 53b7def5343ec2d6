//! Servers that have said enough before they have read everything.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::forward::connect::Connection;

/// A connection on which the last word of a server is heard although it takes nothing any more.
///
/// A server may answer a long request before it has read all of it, 413 for instance, and close. What is written then fails,
/// and HTTP would take the connection for broken, without a look at what has come on it. Here such a write waits; what
/// there is to read decides: an answer, or an end without one.
///
/// **Source:** RFC 9112, section 9.5: a client that sees an answer or a close while it sends stops sending, and reads.
pub(crate) struct Heard {
    inner: Connection,
    /// Whether nothing can be written any more.
    is_deaf: bool,
    /// Whether nothing more will be read.
    is_over: bool,
    /// Who waits to write until that is so.
    waiting: Option<Waker>,
}

impl Heard {
    pub(crate) fn new(inner: Connection) -> Self {
        Self {
            inner,
            is_deaf: false,
            is_over: false,
            waiting: None,
        }
    }

    /// The connection itself.
    pub(crate) fn into_inner(self) -> Connection {
        self.inner
    }

    /// `write`; once the server has closed, its failure only when all is read that it has said.
    fn unless_deaf<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Connection>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_deaf && !self.is_over {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match write(Pin::new(&mut self.inner), cx) {
            Poll::Ready(Err(why)) if is_closed(&why) && !self.is_over => {
                self.is_deaf = true;
                cx.waker().wake_by_ref(); // to read once more
                Poll::Pending
            }
            wrote => wrote,
        }
    }
}

fn is_closed(why: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(why.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if (read.is_err() || buf.filled().len() == before) && buf.capacity() > before {
            self.is_over = true;
            if let Some(waiting) = self.waiting.take() {
                waiting.wake();
            }
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_deaf(cx, |inner, cx| inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_deaf(cx, |inner, cx| inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_deaf(cx, |inner, cx| inner.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
