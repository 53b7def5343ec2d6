//! Follows requests byte by byte, as far as needed to know where the next one begins.

/// Where in the stream of requests the next byte is.
#[derive(Debug)]
pub(super) struct Scanner {
    place: Place,
    head: Head,
    line: Line,
}

#[derive(Debug, Eq, PartialEq)]
enum Place {
    /// In the request line or a field.
    Head,
    /// In a body, with so many bytes to come.
    Body(u64),
    /// In the line before a chunk.
    ChunkSize { size: u64, in_digits: bool },
    /// In a chunk or the line end behind it, with so many bytes to come.
    Chunk(u64),
    /// In the fields behind the last chunk.
    Trailers,
    /// Not in HTTP/1.1 any more.
    Unseen,
}

/// What the fields so far have said.
#[derive(Debug, Default)]
struct Head {
    lines: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

/// The line so far: the beginning that fits, and how long it is.
#[derive(Debug)]
struct Line {
    text: [u8; LINE],
    len: usize,
    after_cr: bool,
}

/// What the end of a line says.
#[derive(Debug, Eq, PartialEq)]
enum Verdict {
    Clear,
    Unclear,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Head,
            head: Head::default(),
            line: Line::new(),
        }
    }

    /// Goes through `bytes`, and spoils them where they are unclear.
    pub(super) fn scan(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.place {
                Place::Unseen => return,
                Place::Body(left) => {
                    let taken = skip(left, bytes.len());
                    if *left == 0 {
                        self.begin_head();
                    }
                    taken
                }
                Place::Chunk(left) => {
                    let taken = skip(left, bytes.len());
                    if *left == 0 {
                        self.begin_chunk();
                    }
                    taken
                }
                Place::Head | Place::Trailers => self.read_line(bytes),
                Place::ChunkSize { .. } => {
                    if let Some(byte) = bytes.first_mut() {
                        self.step(byte);
                    }
                    1
                }
            };
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Goes on to the end of the line, or as far as there is something. Tells how far.
    fn read_line(&mut self, bytes: &mut [u8]) -> usize {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.line.extend(bytes);
            return bytes.len();
        };
        if let Some((line_end, line)) = bytes.get_mut(..=end).and_then(<[u8]>::split_last_mut) {
            self.line.extend(line);
            self.step(line_end);
        }
        end + 1
    }

    fn step(&mut self, byte: &mut u8) {
        let verdict = match *byte {
            b'\n' if !self.line.after_cr => Verdict::Unclear,
            b'\n' => self.end_line(),
            other => {
                self.line.push(other);
                self.read_size(other)
            }
        };
        if verdict == Verdict::Unclear {
            *byte = 0; // allowed nowhere in a head or before a chunk
            self.place = Place::Unseen;
        }
    }

    fn read_size(&mut self, byte: u8) -> Verdict {
        let Place::ChunkSize {
            size,
            in_digits: true,
        } = self.place
        else {
            return Verdict::Clear;
        };
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match digit {
            // So many digits that they wrap: no body is that long.
            Some(_) if size > u64::MAX >> 5 => Verdict::Unclear,
            Some(digit) => {
                let size = size << 4 | digit;
                self.place = Place::ChunkSize {
                    size,
                    in_digits: true,
                };
                Verdict::Clear
            }
            None => {
                self.place = Place::ChunkSize {
                    size,
                    in_digits: false,
                };
                Verdict::Clear
            }
        }
    }

    fn end_line(&mut self) -> Verdict {
        let line = self.line.take();
        match self.place {
            Place::Head => return self.end_head_line(&line),
            Place::Trailers if line.is_empty() => self.begin_head(),
            Place::ChunkSize { size: 0, .. } => self.place = Place::Trailers,
            Place::ChunkSize { size, .. } => self.place = Place::Chunk(size.saturating_add(2)),
            _ => {}
        }
        Verdict::Clear
    }

    fn end_head_line(&mut self, line: &Line) -> Verdict {
        if line.is_empty() {
            if self.head.lines > 0 {
                self.end_head();
            }
            return Verdict::Clear; // empty lines before a request are skipped
        }
        self.head.lines += 1;
        if self.head.lines == 1 {
            if line.text().starts_with(b"PRI ") {
                self.place = Place::Unseen; // HTTP/2
            }
            return Verdict::Clear;
        }
        self.head.read_field(line)
    }

    fn end_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        match head.length {
            _ if head.upgrade => self.place = Place::Unseen,
            _ if head.chunked => self.begin_chunk(),
            Some(length) if length > 0 => self.place = Place::Body(length),
            _ => self.begin_head(),
        }
    }

    fn begin_head(&mut self) {
        self.place = Place::Head;
        self.head = Head::default();
    }

    fn begin_chunk(&mut self) {
        self.place = Place::ChunkSize {
            size: 0,
            in_digits: true,
        };
    }
}

impl Head {
    fn read_field(&mut self, line: &Line) -> Verdict {
        let Some((name, value)) = line.field() else {
            return Verdict::Clear; // not a field: the server says so
        };
        if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        }
        let codes = name.eq_ignore_ascii_case(b"transfer-encoding");
        let counts = name.eq_ignore_ascii_case(b"content-length");
        if (codes || counts) && (self.chunked || self.length.is_some()) {
            return Verdict::Unclear;
        }
        self.chunked |= codes;
        if counts {
            self.length = line.fits().then(|| number(value)).flatten();
            if self.length.is_none() {
                return Verdict::Unclear;
            }
        }
        Verdict::Clear
    }
}

fn number(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value.trim_ascii()).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl Line {
    fn new() -> Self {
        Self {
            text: [0; LINE],
            len: 0,
            after_cr: false,
        }
    }

    fn push(&mut self, byte: u8) {
        self.after_cr = byte == b'\r';
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.after_cr = *last == b'\r';
        }
        let room = self.text.get_mut(self.len..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.len.min(LINE)).unwrap_or_default()
    }

    fn fits(&self) -> bool {
        self.len <= LINE
    }

    fn is_empty(&self) -> bool {
        self.text() == b"\r"
    }

    fn field(&self) -> Option<(&[u8], &[u8])> {
        let at = self.text().iter().position(|b| *b == b':')?;
        let (name, rest) = self.text().split_at(at);
        Some((name, rest.strip_prefix(b":")?))
    }
}

fn skip(left: &mut u64, available: usize) -> usize {
    let available_u64 = u64::try_from(available).unwrap_or(u64::MAX);
    let taken = (*left).min(available_u64);
    *left -= taken;
    usize::try_from(taken).unwrap_or(available)
}

/// As much of a line as is looked at: `Content-Length`, and more digits than a length has.
const LINE: usize = 48;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spoiled(text: &str, step: usize) -> bool {
        let mut scanner = Scanner::new();
        let mut bytes = text.as_bytes().to_vec();
        for chunk in bytes.chunks_mut(step) {
            scanner.scan(chunk);
        }
        bytes != text.as_bytes()
    }

    #[test]
    fn unclear_requests_are_spoiled_wherever_they_are_cut() {
        let cases = [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", true), // bare LF
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", true),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: a\r\nTransfer-Encoding: b\r\n\r\n",
                true,
            ),
            ("POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", true),
            // What looks unclear inside a body is none of our business …
            (
                "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\na\nb\r\nc\n\r\n\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\na\nb\r\n0\r\nx: y\r\n\r\n",
                false,
            ),
            // … and behind it we look again.
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\naGET / HTTP/1.1\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
                true,
            ),
            ("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n\n\n\n", false),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n", false),
        ];
        for (text, expected) in cases {
            for step in [1, 2, 7, 1000] {
                assert_eq!(spoiled(text, step), expected, "by {step}: {text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1..50_usize) {
            let (mut whole, mut cut) = (bytes.clone(), bytes);
            Scanner::new().scan(&mut whole);
            let mut scanner = Scanner::new();
            cut.chunks_mut(step).for_each(|chunk| scanner.scan(chunk));
            prop_assert_eq!(whole, cut);
        }
    }
}
