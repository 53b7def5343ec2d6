//! A stream that can be bounded and broken, and reads in large pieces.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::budget::Budget;
use super::metrics;
use super::pool::{Pool, Share};
use super::switch::Switch;

/// The stream under an SSH connection.
///
/// - It reads what the network has, instead of each packet's length and then the rest.
/// - It ends with an error when its [`Switch`] is cut, when more bytes come than its
///   [`Budget`] allows, or when nothing can be written for too long.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    inner: S,
    switch: Switch,
    budget: Budget,
    write_patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    buffer: Vec<u8>,
    unread: Range<usize>,
    /// How many of the last reads were small.
    small_reads: u8,
    /// What was read ahead.
    ahead: Share,
}

impl<S> Guarded<S> {
    pub(crate) const fn new(
        inner: S,
        switch: Switch,
        budget: Budget,
        pool: Pool,
        write_patience: Duration,
    ) -> Self {
        Self {
            inner,
            switch,
            budget,
            write_patience,
            stalled: None,
            buffer: Vec::new(),
            unread: 0..0,
            small_reads: 0,
            ahead: pool.share(),
        }
    }

    /// Hands out what was read before, if anything.
    fn take_buffered(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let end = self.unread.end.min(self.unread.start + buf.remaining());
        let now = self.buffer.get(self.unread.start..end).unwrap_or_default();
        buf.put_slice(now);
        self.unread.start += now.len();
        !now.is_empty()
    }

    fn wait_or_break(&mut self, cx: &Context<'_>) -> Poll<io::Error> {
        match self.switch.is_cut_or_wakes(cx.waker()) {
            true => Poll::Ready(io::ErrorKind::ConnectionAborted.into()),
            false => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads what there is behind what was read before.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.make_room();
        let room = self.buffer.get_mut(self.unread.end..);
        let mut into = ReadBuf::new(room.unwrap_or_default());
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut into);
        let filled = into.filled().len();
        self.unread.end += filled;
        ready!(polled)?;
        self.small_reads = match filled < SMALL {
            true => self.small_reads.saturating_add(1),
            false => 0,
        };
        match self.budget.spend(filled) {
            true => Poll::Ready(Ok(())),
            false => {
                metrics::refused("login_bytes");
                Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()))
            }
        }
    }

    /// A read that filled the buffer is followed by one into a larger one, and some that
    /// were small by one into a small one: quiet connections keep little, and one that only
    /// logs in never has much.
    fn make_room(&mut self) {
        let full = self.unread.end == self.buffer.len();
        if !self.unread.is_empty() {
            if full {
                self.buffer.resize(self.unread.end + LARGE, 0);
                self.ahead.set(self.buffer.len());
            }
            return;
        }
        self.unread = 0..0;
        let size = match self.buffer.len() {
            0 => SMALL,
            _ if self.small_reads >= QUIET => SMALL,
            size if full => (size * STEP).min(LARGE),
            size => size.min(LARGE),
        };
        if size != self.buffer.len() {
            self.buffer = vec![0; size];
            self.ahead.set(0);
        }
    }

    /// Takes what the other side sends while it does not take what we send. It may be
    /// as single-minded as we are, and wait with its reading until it has written.
    fn read_ahead(&mut self, cx: &mut Context<'_>) {
        while self.unread.len() < self.ahead.allowance(AHEAD) {
            let before = self.unread.end;
            // Whatever is wrong, or the end, the next read finds it.
            let read = matches!(self.poll_fill(cx), Poll::Ready(Ok(())));
            if !read || self.unread.end == before {
                return;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.take_buffered(buf) {
            return Poll::Ready(Ok(()));
        }
        match this.poll_fill(cx) {
            Poll::Ready(Ok(())) => {
                this.take_buffered(buf);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(why)) => Poll::Ready(Err(why)),
            Poll::Pending => this.wait_or_break(cx).map(Err),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = Pin::new(&mut this.inner).poll_write(cx, bytes) {
            this.stalled = None;
            return Poll::Ready(written);
        }
        this.read_ahead(cx);
        let patience = this.write_patience;
        let stalled = this
            .stalled
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => this.wait_or_break(cx).map(Err),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_flush(cx) {
            Poll::Pending => this.wait_or_break(cx).map(Err),
            flushed @ Poll::Ready(_) => flushed,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// What a quiet connection reads at once: a key stroke.
const SMALL: usize = 4 * 1024;
/// How much larger a buffer is than the one before that was filled.
const STEP: usize = 4;
/// What a busy one reads at once: three of the largest usual packets.
const LARGE: usize = 128 * 1024;
/// So many small reads, and a connection is quiet.
const QUIET: u8 = 8;
/// What is read at most while a write waits, where there is plenty: some windows.
const AHEAD: usize = 8 * 1024 * 1024;
