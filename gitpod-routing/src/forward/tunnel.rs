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
mod tests {
    use tokio::io::duplex;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Two ends of a connection.
    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await;
        (near.unwrap(), listener.accept().await.unwrap().0)
    }

    /// Bytes of which no two pieces are alike.
    fn bytes(length: u32) -> Vec<u8> {
        (0..length / 4).flat_map(u32::to_be_bytes).collect()
    }

    async fn send(mut to: impl AsyncWrite + Unpin, bytes: Vec<u8>) {
        to.write_all(&bytes).await.unwrap();
        to.shutdown().await.unwrap();
    }

    async fn receive(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
        let mut all = Vec::new();
        from.read_to_end(&mut all).await.unwrap();
        all
    }

    #[test]
    fn idle_tunnel_is_small() {
        assert!(size_of::<Tunnel>() <= 320, "{}", size_of::<Tunnel>());
    }

    #[tokio::test]
    async fn long_runs_between_sockets_arrive_whole_one_after_the_other() {
        let ((client, near), (far, server)) = (sockets().await, sockets().await);
        let ahead = Bytes::from_static(b"read ahead, ");
        let tunnel = Tunnel::new(
            (Side::Socket(near), ahead),
            (Side::Socket(far), Bytes::new()),
            Meter::default(),
        );
        let tunnel = tokio::spawn(tunnel);
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        for length in [4_000_000, 40, 9_000_000] {
            let sent = bytes(length);
            let mut expected = sent.clone();
            if length == 4_000_000 {
                expected.splice(0..0, *b"read ahead, ");
            }
            let mut received = vec![0; expected.len()];
            let (sending, receiving) = tokio::join!(
                to_client.write_all(&sent),
                from_server.read_exact(&mut received)
            );
            sending.unwrap();
            receiving.unwrap();
            assert!(received == expected, "{length} forth");
            let mut received = vec![0; sent.len()];
            let (sending, receiving) = tokio::join!(
                to_server.write_all(&sent),
                from_client.read_exact(&mut received)
            );
            sending.unwrap();
            receiving.unwrap();
            assert!(received == sent, "{length} back");
        }
        to_client.shutdown().await.unwrap();
        assert_eq!(receive(from_server).await, b"");
        send(to_server, bytes(3_000_000)).await;
        assert!(receive(from_client).await == bytes(3_000_000));
        tunnel.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn websocket_that_has_to_go_is_closed_after_the_frame_that_is_on_its_way() {
        for cut in [0, 1, 2, 3, 300] {
            let ((mut client, near), (far, mut server)) = (sockets().await, sockets().await);
            let frame = [&[0x82, 126, 1, 44], bytes(300).as_slice()].concat();
            let (first, rest) = frame.split_at(cut);
            let tunnel = Tunnel::new(
                (Side::Socket(near), Bytes::new()),
                (Side::Socket(far), Bytes::copy_from_slice(first)),
                Meter::new(None, Some(Frames::default())),
            );
            let end = tokio::spawn(tunnel.close());
            server.write_all(rest).await.unwrap();
            server.write_all(&frame).await.unwrap(); // which is one too many
            let at_client = match cut {
                0 => COME_AGAIN.to_vec(),
                _ => [&frame, &COME_AGAIN[..]].concat(),
            };
            let mut got = vec![0; at_client.len()];
            client.read_exact(&mut got).await.unwrap();
            assert!(got == at_client, "{cut}");
            assert_eq!(client.read(&mut got).await.unwrap(), 0);
            drop(client);
            end.await.unwrap().unwrap();
        }
    }

    /// However far a run of long messages has come, and whoever reads it slowly.
    #[tokio::test]
    async fn websocket_whose_messages_are_spliced_is_closed_after_the_frame_that_is_on_its_way() {
        let head = [&[0x82, 127][..], &900_000_u64.to_be_bytes()].concat();
        let frame = [&head[..], bytes(900_000).as_slice()].concat();
        for (whole, cut) in [(4, 0), (4, 5), (3, 400_000), (5, 899_000)] {
            let ((mut client, near), (far, mut server)) = (sockets().await, sockets().await);
            let mut tunnel = Tunnel::new(
                (Side::Socket(near), Bytes::new()),
                (Side::Socket(far), Bytes::new()),
                Meter::new(None, Some(Frames::default())),
            );
            let sent = [frame.repeat(whole).as_slice(), frame.get(..cut).unwrap()].concat();
            let (mut got, expected) = (vec![0; sent.len()], sent.clone());
            tokio::select! {
                _ = &mut tunnel => panic!("ends"),
                (sending, receiving) = async {
                    tokio::join!(server.write_all(&sent), client.read_exact(&mut got))
                } => {
                    sending.unwrap();
                    receiving.unwrap();
                }
            }
            assert!(got == expected, "{whole} {cut}");
            #[cfg(target_os = "linux")]
            assert!(tunnel.back.run >= LONG, "it is spliced");
            let end = tokio::spawn(tunnel.close());
            server.write_all(&frame[cut..]).await.unwrap();
            let at_client = match cut {
                0 => COME_AGAIN.to_vec(),
                _ => [&frame[cut..], &COME_AGAIN[..]].concat(),
            };
            assert!(receive(&mut client).await == at_client, "{whole} {cut}");
            drop(client);
            end.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn long_runs_go_both_ways_at_once_whatever_the_connections_are() {
        for server_is_socket in [true, false] {
            let (client, near) = sockets().await;
            let (far, server): (Side, crate::forward::Connection) = match server_is_socket {
                true => {
                    let (far, server) = sockets().await;
                    (Side::Socket(far), Box::new(server))
                }
                false => {
                    let (far, server) = duplex(1000);
                    (Side::Connection(Box::new(far)), Box::new(server))
                }
            };
            let tunnel = tokio::spawn(Tunnel::new(
                (Side::Socket(near), Bytes::new()),
                (far, Bytes::new()),
                Meter::default(),
            ));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = tokio::io::split(server);
            let (forth, back) = (bytes(7_000_000), bytes(5_000_000));
            let (_, _, at_server, at_client) = tokio::join!(
                send(to_client, forth.clone()),
                send(to_server, back.clone()),
                receive(from_server),
                receive(from_client)
            );
            assert!(
                at_server == forth && at_client == back,
                "{server_is_socket}"
            );
            tunnel.await.unwrap().unwrap();
        }
    }
}
