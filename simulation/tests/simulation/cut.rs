//! Connections that are reset after so many bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where the next connection breaks, as seen by the proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Point {
    Nowhere,
    ClientRead(usize),
    ClientWrite(usize),
    ServerRead(usize),
    ServerWrite(usize),
}

impl Point {
    /// The same, `offset` bytes in.
    pub(crate) fn at(self, offset: usize) -> Self {
        match self {
            Self::Nowhere => Self::Nowhere,
            Self::ClientRead(_) => Self::ClientRead(offset),
            Self::ClientWrite(_) => Self::ClientWrite(offset),
            Self::ServerRead(_) => Self::ServerRead(offset),
            Self::ServerWrite(_) => Self::ServerWrite(offset),
        }
    }
}

/// The point of the exchange under way, which everybody looks up.
#[derive(Clone, Debug)]
pub(crate) struct Plan(Arc<Mutex<Now>>);

#[derive(Debug)]
struct Now {
    point: Point,
    /// Whether a connection has come so far.
    reached: bool,
    /// Connections that are open, by the point that was set when they were opened.
    open: Vec<String>,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Now {
            point: Point::Nowhere,
            reached: false,
            open: Vec::new(),
        })))
    }

    pub(crate) fn set(&self, point: Point) {
        let mut now = self.0.lock().unwrap();
        (now.point, now.reached) = (point, false);
    }

    /// What is open.
    pub(crate) fn open(&self) -> Vec<String> {
        self.0.lock().unwrap().open.clone()
    }

    /// Whether the connection broke at the point that was set last.
    pub(crate) fn was_reached(&self) -> bool {
        self.0.lock().unwrap().reached
    }

    pub(crate) fn client<T>(&self, inner: T) -> Cut<T> {
        let point = self.0.lock().unwrap().point;
        match point {
            Point::ClientRead(bytes) => Cut::new(inner, Some(bytes), None, self),
            Point::ClientWrite(bytes) => Cut::new(inner, None, Some(bytes), self),
            _ => Cut::new(inner, None, None, self),
        }
    }

    pub(crate) fn server<T>(&self, inner: T) -> Cut<T> {
        let point = self.0.lock().unwrap().point;
        match point {
            Point::ServerRead(bytes) => Cut::new(inner, Some(bytes), None, self),
            Point::ServerWrite(bytes) => Cut::new(inner, None, Some(bytes), self),
            _ => Cut::new(inner, None, None, self),
        }
    }
}

/// A connection that is reset, both ways, once so many bytes have gone one way.
pub(crate) struct Cut<T> {
    inner: T,
    read: Option<usize>,
    write: Option<usize>,
    plan: Plan,
    broken: bool,
    name: String,
}

impl<T> Drop for Cut<T> {
    fn drop(&mut self) {
        let mut now = self.plan.0.lock().unwrap();
        if let Some(at) = now.open.iter().position(|name| *name == self.name) {
            now.open.swap_remove(at);
        }
    }
}

impl<T> Cut<T> {
    fn new(inner: T, read: Option<usize>, write: Option<usize>, plan: &Plan) -> Self {
        let mut now = plan.0.lock().unwrap();
        let name = format!("{:?} {read:?} {write:?}", now.point);
        now.open.push(name.clone());
        drop(now);
        Self {
            name,
            inner,
            read,
            write,
            plan: plan.clone(),
            broken: false,
        }
    }

    fn check(&mut self, left: Option<usize>) -> io::Result<()> {
        if left == Some(0) && !self.broken {
            self.broken = true;
            self.plan.0.lock().unwrap().reached = true;
        }
        match self.broken {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Cut<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check(this.read)?;
        let most = this.read.unwrap_or(usize::MAX).min(buf.remaining());
        let mut space = [0; 4096];
        let mut part = ReadBuf::new(&mut space[..most.min(4096)]);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        this.read = this.read.map(|left| left - part.filled().len());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Cut<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.check(this.write)?;
        let part = &buf[..this.write.unwrap_or(usize::MAX).min(buf.len())];
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, part))?;
        this.write = this.write.map(|left| left - written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(None)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(None)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
