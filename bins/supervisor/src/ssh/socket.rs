use std::io;
use std::os::fd::AsFd;

use bytes::BytesMut;
use rustix::net::{Shutdown, shutdown};
use tokio::net::{TcpStream, UnixStream};

/// A connection of the workspace, of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Reads what is there, up to `most` bytes; nothing at the end. Memory is taken only when something is there.
    pub(super) async fn read(&self, most: usize) -> io::Result<BytesMut> {
        loop {
            match self {
                Self::Tcp(stream) => stream.readable().await?,
                Self::Unix(stream) => stream.readable().await?,
            }
            let mut chunk = BytesMut::with_capacity(most);
            let read = match self {
                Self::Tcp(stream) => stream.try_read_buf(&mut chunk),
                Self::Unix(stream) => stream.try_read_buf(&mut chunk),
            };
            match read {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(|_| chunk),
            }
        }
    }

    /// Writes all of it.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self {
                Self::Tcp(stream) => stream.writable().await?,
                Self::Unix(stream) => stream.writable().await?,
            }
            let wrote = match self {
                Self::Tcp(stream) => stream.try_write(bytes),
                Self::Unix(stream) => stream.try_write(bytes),
            };
            match wrote {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                wrote => bytes = bytes.get(wrote?..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Says that nothing more comes.
    pub(super) fn end(&self) {
        let fd = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        let _ = shutdown(fd, Shutdown::Write); // the other end may be gone
    }
}
