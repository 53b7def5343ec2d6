//! Connections that have become another protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use http::header::UPGRADE;
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::forward::frames::Frames;
use crate::forward::usage::Usage;

/// Whether the server agreed to the very protocol that was asked for.
pub(crate) fn is_agreed(asked: &HeaderValue, answer: &HeaderMap) -> bool {
    let mut values = answer.get_all(UPGRADE).iter();
    match (values.next(), values.next()) {
        (Some(agreed), None) => agreed.as_bytes().eq_ignore_ascii_case(asked.as_bytes()),
        _ => false,
    }
}

/// Copies both ways until either side ends, then ends both.
///
/// Both upgrades complete only after the `101` has been written.
pub(crate) async fn tunnel(client: OnUpgrade, server: OnUpgrade, meter: Meter) {
    let (client, server) = match (client.await, server.await) {
        (Ok(client), Ok(server)) => (TokioIo::new(client), TokioIo::new(server)),
        (Err(why), _) | (_, Err(why)) => {
            tracing::debug!(error = %why, "tunnel did not open");
            return;
        }
    };
    let end = Tunnel::new(client, server, meter).await;
    if let Err(why) = end {
        tracing::trace!(error = %why, "tunnel broke");
    }
}

/// Two connections joined. Buffers live only while there is something in them.
struct Tunnel<A, B> {
    a: A,
    b: B,
    a_to_b: OneWay,
    b_to_a: OneWay,
    usage: Option<Usage>,
}

impl<A, B> Tunnel<A, B> {
    fn new(a: A, b: B, meter: Meter) -> Self {
        let way = || OneWay {
            frames: meter.frames,
            ..OneWay::default()
        };
        Self {
            a,
            b,
            a_to_b: way(),
            b_to_a: way(),
            usage: meter.usage,
        }
    }
}

/// What to report of the use of a tunnel, and to tell it by.
pub(crate) struct Meter {
    usage: Option<Usage>,
    /// Of a WebSocket. Of other protocols every byte counts.
    frames: Option<Frames>,
}

impl Meter {
    pub(crate) fn new(usage: Option<Usage>, is_websocket: bool) -> Self {
        // Nothing is read of what nobody wants to know of.
        let frames = (is_websocket && usage.is_some()).then(Frames::default);
        Self { usage, frames }
    }
}

impl<A, B> Future for Tunnel<A, B>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let forth = this.a_to_b.poll_copy(cx, &mut this.a, &mut this.b)?;
        let back = this.b_to_a.poll_copy(cx, &mut this.b, &mut this.a)?;
        let is_used = this.a_to_b.was_used() | this.b_to_a.was_used();
        if let (true, Some(usage)) = (is_used, &mut this.usage) {
            usage.note();
        }
        // The end of one direction has been passed on; the other side answers by ending.
        match (forth, back) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}

/// What was read on one side and not yet taken by the other.
#[derive(Default)]
struct OneWay {
    unsent: BytesMut,
    state: State,
    frames: Option<Frames>,
    is_used: bool,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum State {
    #[default]
    Open,
    Ending,
    Ended,
}

impl OneWay {
    /// Whether something that counts has come since the last time.
    fn was_used(&mut self) -> bool {
        std::mem::take(&mut self.is_used)
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        let mut wrote = false;
        loop {
            while self.unsent.has_remaining() {
                let sent = ready!(Pin::new(&mut *to).poll_write(cx, &self.unsent))?;
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.unsent.advance(sent);
                wrote = true;
            }
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Ended;
                }
                State::Open => match self.poll_fill(cx, from) {
                    Poll::Ready(filled) => filled?,
                    Poll::Pending => {
                        self.unsent = BytesMut::new(); // idle: keep no memory
                        if wrote {
                            ready!(Pin::new(to).poll_flush(cx))?;
                        }
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<()>> {
        let mut space = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut space);
        ready!(Pin::new(from).poll_read(cx, &mut chunk))?;
        match chunk.filled() {
            [] => self.state = State::Ending,
            read => {
                self.unsent.extend_from_slice(read);
                let frames = self.frames.as_mut();
                self.is_used |= frames.is_none_or(|frames| frames.have_data(read));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Read at once, on the stack. Chosen by us: one TLS record.
const CHUNK: usize = 16 * 1024;
