//! Field names of WebSocket requests, spelled as RFC 6455 does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose first request has its `sec-websocket-…` fields spelled `Sec-WebSocket-…`.
///
/// Names of fields have no case, and some servers compare them anyway. hyper writes them in
/// lower case.
///
/// **Source:** the reference does the same for ports.
#[derive(Debug)]
pub(crate) struct Spelled<T> {
    inner: T,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The head so far.
    InHead(Vec<u8>),
    /// The head, with so much of it sent.
    Sending(Vec<u8>, usize),
    Behind,
}

impl<T> Spelled<T> {
    pub(crate) fn new(inner: T) -> Self {
        let place = Place::InHead(Vec::new());
        Self { inner, place }
    }

    /// The connection itself, once the head is behind it.
    pub(crate) fn into_inner(self) -> Result<T, Self> {
        match self.place {
            Place::Behind => Ok(self.inner),
            Place::InHead(_) | Place::Sending(..) => Err(self),
        }
    }
}

impl<T: AsyncWrite + Unpin> Spelled<T> {
    fn poll_send_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Place::Sending(head, sent) = &mut self.place {
            let rest = head.get(*sent..).unwrap_or_default();
            if rest.is_empty() {
                self.place = Place::Behind;
                break;
            }
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += written;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Spelled<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Place::InHead(head) = &mut self.place {
            head.extend_from_slice(buf);
            if head.windows(END.len()).any(|end| end == END) {
                let mut head = std::mem::take(head);
                spell(&mut head);
                self.place = Place::Sending(head, 0);
            }
            return Poll::Ready(Ok(buf.len())); // sent with the next write or flush
        }
        ready!(self.poll_send_head(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_head(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_head(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Spelled<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

/// Respells the names in `head`; its length stays the same.
fn spell(head: &mut [u8]) {
    for line in head.split_mut(|b| *b == b'\n') {
        if line == b"\r" {
            return; // a body may follow
        }
        let Some((prefix, rest)) = line.split_at_mut_checked(PREFIX.len()) else {
            continue;
        };
        if prefix.eq_ignore_ascii_case(PREFIX) {
            prefix.copy_from_slice(PREFIX);
            if let Some(first) = rest.first_mut() {
                first.make_ascii_uppercase();
            }
        }
    }
}

const PREFIX: &[u8] = b"Sec-WebSocket-";
const END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn names_in_the_head_are_spelled_and_nothing_else_changes() {
        let head =
            "GET /sec-websocket-key HTTP/1.1\r\nsec-websocket-key: sec-websocket-a\r\na: b\r\n\r\n";
        let expected =
            "GET /sec-websocket-key HTTP/1.1\r\nSec-WebSocket-Key: sec-websocket-a\r\na: b\r\n\r\n";
        let rest = "sec-websocket-x: y\r\n\r\n";
        for step in [1, 5, 1000] {
            let (near, mut far) = tokio::io::duplex(8);
            let mut near = Spelled::new(near);
            let reader = tokio::spawn(async move {
                let mut text = String::new();
                far.read_to_string(&mut text).await.unwrap();
                text
            });
            for chunk in format!("{head}{rest}").as_bytes().chunks(step) {
                near.write_all(chunk).await.unwrap();
                near.flush().await.unwrap();
            }
            near.shutdown().await.unwrap();
            drop(near);
            assert_eq!(
                reader.await.unwrap(),
                format!("{expected}{rest}"),
                "by {step}"
            );
        }
    }
}
