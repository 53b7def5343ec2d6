//! Two connections joined.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::forward::frames::Frames;
use crate::forward::side::Side;
#[cfg(target_os = "linux")]
use crate::forward::splice::Splice;
use crate::forward::usage::Usage;

/// Two connections joined, until both have ended or one breaks.
///
/// What one direction reads is written at once, out of a buffer that all tunnels of the thread
/// share: an idle tunnel has none. On Linux, long runs from socket to socket are not copied.
pub(crate) struct Tunnel {
    client: Side,
    server: Side,
    forth: OneWay,
    back: OneWay,
    usage: Option<Usage>,
}

impl Tunnel {
    /// Of two sides, each with what was read of it already.
    pub(crate) fn new(client: (Side, Bytes), server: (Side, Bytes), meter: Meter) -> Self {
        let ((client, from_client), (server, from_server)) = (client, server);
        Self {
            client,
            server,
            forth: OneWay::new(from_client, meter.frames),
            back: OneWay::new(from_server, meter.frames),
            usage: meter.usage,
        }
    }

    /// Ends it. The client of a WebSocket is told to come again, once the frame that is on its way
    /// to it is whole, spliced or not; who takes too long is cut off.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        let told = timeout(CLOSING, self.tell_client()).await;
        told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn tell_client(&mut self) -> io::Result<()> {
        let (back, client) = (&mut self.back, &mut self.client);
        if back.state != State::Open {
            return Ok(()); // the server has said the last word
        }
        poll_fn(|cx| back.poll_send_rest(cx, client)).await?;
        let Some(frames) = &mut back.frames else {
            return Ok(());
        };
        let mut space = [0; REST];
        loop {
            let missing = usize::try_from(frames.missing()).unwrap_or(REST).min(REST);
            let Some(space) = space.get_mut(..missing).filter(|space| !space.is_empty()) else {
                break;
            };
            let read = self.server.read(space).await?;
            let rest = space.get(..read).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            frames.have_data(rest);
            client.write_all(rest).await?;
        }
        client.write_all(&COME_AGAIN).await?;
        client.shutdown().await?;
        // What it has sent meanwhile must be read, or it may not get to see the end.
        while client.read(&mut space).await? > 0 {}
        Ok(())
    }
}

/// What to report of the use of a tunnel, and to tell it by.
#[derive(Default)]
pub(crate) struct Meter {
    usage: Option<Usage>,
    /// Of a WebSocket. Of other protocols every byte counts.
    frames: Option<Frames>,
}

impl Meter {
    pub(crate) fn new(usage: Option<Usage>, frames: Option<Frames>) -> Self {
        Self { usage, frames }
    }
}

impl Future for Tunnel {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let before = this.forth.run;
        let forth = this
            .forth
            .poll_copy(cx, &mut this.client, &mut this.server)?;
        if this.forth.run != before {
            this.back.run = 0;
        }
        let before = this.back.run;
        let back = this
            .back
            .poll_copy(cx, &mut this.server, &mut this.client)?;
        if this.back.run != before {
            this.forth.run = 0;
        }
        let is_used = this.forth.was_used() | this.back.was_used();
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

/// One direction. Small, because most tunnels are idle most of the time.
struct OneWay {
    /// Read on one side and not yet taken by the other.
    unsent: Option<Box<Bytes>>,
    /// How many bytes went this way since the last that went the other.
    run: u64,
    state: State,
    is_used: bool,
    frames: Option<Frames>,
    #[cfg(target_os = "linux")]
    splice: Splice,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum State {
    #[default]
    Open,
    Ending,
    Ended,
}

impl OneWay {
    /// With `ahead` as the first to go.
    fn new(ahead: Bytes, frames: Option<Frames>) -> Self {
        let mut way = Self {
            unsent: None,
            run: 0,
            state: State::default(),
            is_used: false,
            frames,
            #[cfg(target_os = "linux")]
            splice: Splice::default(),
        };
        if !ahead.is_empty() {
            way.note(&ahead);
            way.unsent = Some(Box::new(ahead));
        }
        way
    }

    /// Looks at what comes through.
    fn note(&mut self, bytes: &[u8]) {
        let frames = self.frames.as_mut();
        self.is_used |= frames.is_none_or(|frames| frames.have_data(bytes));
    }

    /// Whether something that counts has come since the last time.
    fn was_used(&mut self) -> bool {
        std::mem::take(&mut self.is_used)
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side,
        to: &mut Side,
    ) -> Poll<io::Result<()>> {
        let until = self.run + TURN;
        let mut to_flush = self.unsent.is_some();
        loop {
            ready!(self.poll_send_rest(cx, to))?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Ended;
                    continue;
                }
                State::Open => {}
            }
            if self.run > until {
                cx.waker().wake_by_ref(); // others want their turn
                return Poll::Pending;
            }
            match self.poll_move(cx, from, to) {
                Poll::Ready(moved) => match moved? {
                    0 => self.state = State::Ending,
                    moved => {
                        to_flush = true;
                        self.run += u64::try_from(moved).unwrap_or_default();
                    }
                },
                Poll::Pending if to_flush => {
                    ready!(Pin::new(to).poll_flush(cx))?;
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_send_rest(&mut self, cx: &mut Context<'_>, to: &mut Side) -> Poll<io::Result<()>> {
        while let Some(unsent) = &mut self.unsent {
            match ready!(Pin::new(&mut *to).poll_write(cx, unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => unsent.advance(sent),
            }
            if unsent.is_empty() {
                self.unsent = None;
            }
        }
        #[cfg(target_os = "linux")]
        if let Some(to) = to.as_socket() {
            return self.splice.poll_send_rest(cx, to);
        }
        Poll::Ready(Ok(()))
    }

    /// Moves some bytes, of which a part may stay unsent; none if there are no more.
    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side,
        to: &mut Side,
    ) -> Poll<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        if let Some(most) = self.spliceable()
            && let (Some(from), Some(to)) = (from.as_socket(), to.as_socket())
        {
            let moved = ready!(self.splice.poll_move(cx, from, to, most))?;
            self.is_used |= moved > 0; // heartbeats are not that long
            if let Some(frames) = &mut self.frames {
                frames.pass(moved.try_into().unwrap_or_default());
            }
            return Poll::Ready(Ok(moved));
        }
        let mut space = SPACE.take();
        space.resize(CHUNK, 0); // which it is from the first time on
        let most = self.worth_copying().min(CHUNK);
        let chunk = space.get_mut(..most).unwrap_or_default();
        let moved = self.poll_copy_some(cx, from, to, &mut ReadBuf::new(chunk));
        SPACE.set(space);
        moved
    }

    /// How many bytes may go unseen now, if it is worth it: of a WebSocket only those that a frame
    /// holds, so that it is always known where the next one begins.
    #[cfg(target_os = "linux")]
    fn spliceable(&self) -> Option<u64> {
        let held = self.frames.as_ref().map_or(u64::MAX, Frames::held);
        (self.run >= LONG && held >= WORTH).then_some(held)
    }

    /// How many bytes to read where bytes are looked at: after a long frame, little more than the head of
    /// the next one, which may be as long.
    fn worth_copying(&self) -> usize {
        let frames = self.frames.as_ref();
        match frames.is_some_and(|frames| frames.missing() == 0) && self.run >= LONG {
            true => REST,
            false => CHUNK,
        }
    }

    fn poll_copy_some(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Side,
        to: &mut Side,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(from).poll_read(cx, space))?;
        let read = space.filled();
        if read.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.note(read);
        let sent = match Pin::new(to).poll_write(cx, read)? {
            Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(sent) => sent,
            Poll::Pending => 0,
        };
        if let Some(rest @ [_, ..]) = read.get(sent..) {
            self.unsent = Some(Box::new(Bytes::copy_from_slice(rest)));
        }
        Poll::Ready(Ok(read.len()))
    }
}

/// A close frame with code 1012, "service restart". **Source:** RFC 6455, section 5.5.1, and the registry
/// of close codes.
const COME_AGAIN: [u8; 4] = [0x88, 2, 0x03, 0xf4];

/// How long an end may take. Chosen by us: some round trips.
const CLOSING: Duration = Duration::from_secs(1);

/// Of a frame, read at once when it is the last.
const REST: usize = 4096;

thread_local! {
    /// What is being moved. Nothing stays in it between two moves.
    static SPACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Moved at once. Chosen by us: more than a message of 64 KiB with its head, and little enough
/// for a processor's cache.
const CHUNK: usize = 256 * 1024;

/// Moved before others have their turn. Chosen by us.
const TURN: u64 = 1024 * 1024;

/// From so many bytes in one direction on, this is no conversation. Chosen by us.
const LONG: u64 = 1024 * 1024;

/// Fewer bytes of a frame are copied: two calls more cost as much. Chosen by us.
#[cfg(target_os = "linux")]
const WORTH: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
