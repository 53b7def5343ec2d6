//! A client of HTTP/2 that sends what it is told to, however wrong: no library does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::soon;

/// One connection, on which each request is a stream.
pub(crate) struct Client {
    stream: TcpStream,
    next: u32,
}

/// What came of a request.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// With a status that has an entry of its own in the table of RFC 7541.
    Status(u16),
    /// With another status.
    OtherStatus,
    /// The stream was reset, or the connection ended.
    Broken,
}

impl Answer {
    /// Neither passed on nor answered by a workspace: those here answer 200.
    pub(crate) fn is_refusal(&self) -> bool {
        *self != Self::Status(200)
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        stream.write_all(preface).await.unwrap();
        Self { stream, next: 1 }
    }

    /// Sends `fields` as the head of a GET that ends with it, unless they say otherwise.
    pub(crate) async fn ask(&mut self, fields: &[(&str, &str)]) -> Answer {
        self.send(fields, &[]).await
    }

    /// The same with a body in frames of its own.
    pub(crate) async fn send(&mut self, fields: &[(&str, &str)], body: &[&str]) -> Answer {
        let id = self.next;
        self.next += 2;
        let mut block = Vec::new();
        for (name, value) in [(":method", "GET"), (":scheme", "http"), (":path", "/")] {
            if !fields.iter().any(|(given, _)| *given == name) {
                literal(&mut block, name, value);
            }
        }
        let (pseudo, plain): (Vec<_>, Vec<_>) =
            fields.iter().partition(|(name, _)| name.starts_with(':'));
        for (name, value) in pseudo.into_iter().chain(plain) {
            literal(&mut block, name, value);
        }
        let ends = u8::from(body.is_empty());
        let mut bytes = frame(HEADERS, END_HEADERS | ends, id, &block);
        for (at, part) in body.iter().enumerate() {
            let ends = u8::from(at + 1 == body.len());
            bytes.extend(frame(DATA, ends, id, part.as_bytes()));
        }
        let _closed = self.stream.write_all(&bytes).await;
        soon("an answer in HTTP/2", self.answer(id)).await
    }

    async fn answer(&mut self, id: u32) -> Answer {
        loop {
            let mut head = [0; 9];
            if self.stream.read_exact(&mut head).await.is_err() {
                return Answer::Broken;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if self.stream.read_exact(&mut payload).await.is_err() {
                return Answer::Broken;
            }
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                HEADERS if stream == id => return status_of(&payload),
                RST_STREAM if stream == id => return Answer::Broken,
                GOAWAY => return Answer::Broken,
                _ => {}
            }
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field that is not remembered, its name spelled out. **Source:** RFC 7541, section 6.2.2.
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        let length = u8::try_from(text.len()).unwrap();
        if length < 127 {
            block.push(length);
        } else {
            block.extend([127, length - 127]);
        }
        block.extend(text.as_bytes());
    }
}

/// The status, which comes first. **Source:** RFC 7541, appendix A.
fn status_of(block: &[u8]) -> Answer {
    // What the tables may have changed to.
    let block = match block {
        [0x20..=0x3e, rest @ ..] => rest,
        block => block,
    };
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block.first() {
        Some(first @ 0x88..=0x8e) => Answer::Status(known[usize::from(first - 0x88)]),
        _ => Answer::OtherStatus,
    }
}
