//! From socket to socket without a copy: `splice(2)`.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// One direction between two sockets. Has a pipe only while there is something in it.
#[derive(Default)]
pub(crate) struct Splice {
    full: Option<Box<Pipe>>,
}

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    /// Bytes in it.
    filled: usize,
}

impl Splice {
    /// Sends on what an earlier move could not.
    pub(crate) fn poll_send_rest(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
    ) -> Poll<io::Result<()>> {
        let Some(pipe) = &mut self.full else {
            return Poll::Ready(Ok(()));
        };
        ready!(pipe.poll_empty(cx, to))?;
        if let Some(pipe) = self.full.take() {
            pipe.give_back();
        }
        Poll::Ready(Ok(()))
    }

    /// Moves some bytes, `most` of them, of which a part may stay unsent; none if there are no more.
    pub(crate) fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let mut pipe = Pipe::take()?;
        let most = usize::try_from(most).unwrap_or(SIZE).min(SIZE);
        let filled = match pipe.poll_fill(cx, from, most) {
            Poll::Ready(filled) => filled?,
            Poll::Pending => {
                pipe.give_back();
                return Poll::Pending;
            }
        };
        match pipe.poll_empty(cx, to)? {
            Poll::Ready(()) => pipe.give_back(),
            Poll::Pending => self.full = Some(Box::new(pipe)),
        }
        Poll::Ready(Ok(filled))
    }
}

impl Pipe {
    fn take() -> io::Result<Self> {
        if let Some(pipe) = EMPTY.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // Users without privileges have only so much; a smaller one does as well.
        let _size = fcntl_setpipe_size(&writer, SIZE);
        Ok(Self {
            reader,
            writer,
            filled: 0,
        })
    }

    /// Only an empty one is given back: what is in it is nobody else's.
    fn give_back(self) {
        if self.filled == 0 {
            EMPTY.with_borrow_mut(|empty| {
                if empty.len() < KEPT {
                    empty.push(self);
                }
            });
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(from.poll_read_ready(cx))?;
            let some = from.try_io(Interest::READABLE, || {
                Ok(splice(from, None, &self.writer, None, most, FLAGS)?)
            });
            match some {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                some => {
                    self.filled += some.as_ref().copied().unwrap_or_default();
                    return Poll::Ready(some);
                }
            }
        }
    }

    fn poll_empty(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        while self.filled > 0 {
            ready!(to.poll_write_ready(cx))?;
            let some = to.try_io(Interest::WRITABLE, || {
                Ok(splice(&self.reader, None, to, None, self.filled, FLAGS)?)
            });
            match some {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Poll::Ready(Err(why)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(sent) => self.filled = self.filled.saturating_sub(sent),
            }
        }
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    /// Pipes to be used again.
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// Of a pipe. **Source:** `pipe(7)`: the most that a user without privileges may have by default.
const SIZE: usize = 1024 * 1024;

/// Pipes that a thread keeps: most directions need one for moments only. Chosen by us.
const KEPT: usize = 16;
