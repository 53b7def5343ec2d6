//! What the simulated network does not have: the kernel's question whether the other side is
//! still there. Messages that it loses are lost for good, and nobody is told.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use turmoil::net::TcpStream;

use crate::platform::Platform;

/// A connection of the proxy. It breaks some time after messages of it may have been lost,
/// and is counted.
pub(crate) struct Kept {
    inner: TcpStream,
    peer: String,
    platform: Platform,
    losses: u64,
    ask: Pin<Box<Sleep>>,
}

/// What our programs and `DirectConnector` have the kernel do takes about as long.
const ASK: Duration = Duration::from_secs(40);

impl Kept {
    pub(crate) fn new(inner: TcpStream, platform: Platform) -> Self {
        let peer = inner.peer_addr().map(|peer| peer.ip());
        let peer = peer.ok().and_then(turmoil::reverse_lookup);
        let peer = peer.unwrap_or_default();
        let losses = platform.losses(&peer);
        platform.open().fetch_add(1, Ordering::Relaxed);
        Self {
            inner,
            peer,
            platform,
            losses,
            ask: Box::pin(sleep(ASK)),
        }
    }

    fn is_lost(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ask.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.ask.as_mut().reset(Instant::now() + ASK);
        let _again = self.ask.as_mut().poll(cx);
        self.platform.losses(&self.peer) != self.losses
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.platform.open().fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Kept {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending if self.is_lost(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            answer => answer,
        }
    }
}

impl AsyncWrite for Kept {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
