use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

/// The output of one task: a file that does not grow for ever, and those who read along.
///
/// The file is the only copy. Readers are told how far it goes and read at their own pace, so that a slow one costs nothing.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    limit: u64,
    written: watch::Sender<Written>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// How often the file has been begun anew.
    round: u64,
    bytes: u64,
    end: bool,
}

/// A file is begun anew at this size and the one before is kept, so a task takes at most twice as much of the disk.
pub(crate) const LIMIT_BYTES: u64 = 8 * 1024 * 1024;
const CHUNK_BYTES: usize = 32 * 1024;

impl Log {
    pub(crate) fn new(path: PathBuf, limit: u64) -> Arc<Self> {
        Arc::new(Self {
            path,
            limit,
            written: watch::Sender::new(Written::default()),
        })
    }

    /// Copies `output` to the file until its last writer is gone. Output that cannot be stored is dropped, so that the task
    /// never waits for a full disk.
    pub(crate) async fn record(&self, mut output: Receiver) {
        let mut file = self.begin(0);
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = output.read(&mut chunk).await {
            self.append(&mut file, chunk.get(..length).unwrap_or_default());
        }
        self.end();
    }

    /// Writes a line of our own, for a log that nothing else writes to.
    pub(crate) fn note(&self, line: &str) {
        let mut file = self.begin(0);
        self.append(&mut file, format!("{line}\n").as_bytes());
    }

    /// Tells readers that nothing more comes.
    pub(crate) fn end(&self) {
        self.written.send_modify(|written| written.end = true);
    }

    fn begin(&self, round: u64) -> Option<File> {
        let opened = File::options().create(true).append(true).open(&self.path);
        let length = opened
            .as_ref()
            .ok()
            .and_then(|file| file.metadata().ok())
            .map_or(0, |meta| meta.len());
        self.written.send_modify(|written| {
            *written = Written {
                round: written.round.max(round),
                bytes: length,
                end: false,
            }
        });
        opened.inspect_err(|error| self.complain(error)).ok()
    }

    fn append(&self, file: &mut Option<File>, bytes: &[u8]) {
        if self.written.borrow().bytes >= self.limit {
            *file = self.turn();
        }
        if file.is_none() {
            *file = self.begin(0);
        }
        let Some(out) = file else { return };
        match out.write_all(bytes) {
            Ok(()) => self
                .written
                .send_modify(|written| written.bytes += bytes.len() as u64),
            Err(error) => {
                self.complain(&error);
                *file = None;
            }
        }
    }

    /// Keeps the full file as `….1` and begins anew.
    fn turn(&self) -> Option<File> {
        let kept = self.path.with_extension("log.1");
        if let Err(error) = std::fs::rename(&self.path, &kept) {
            self.complain(&error);
        }
        let round = self.written.borrow().round + 1;
        let mut file = self.begin(round)?;
        let note = format!("[earlier output is in {}]\n", kept.display());
        if file.write_all(note.as_bytes()).is_ok() {
            self.written
                .send_modify(|written| written.bytes += note.len() as u64);
        }
        Some(file)
    }

    fn complain(&self, error: &io::Error) {
        tracing::warn!(path = %self.path.display(), %error, "output of a task cannot be stored and is dropped");
    }

    /// The last `tail` bytes (all, if `None`), and with `Follow::Live` whatever is written until the task's output ends.
    pub(crate) fn read(
        self: &Arc<Self>,
        tail: Option<u64>,
        follow: Follow,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let mut written = self.written.subscribe();
        let now = *written.borrow_and_update();
        let offset = tail.map_or(0, |tail| now.bytes.saturating_sub(tail));
        let reader = Reader {
            log: Arc::clone(self),
            written,
            file: None,
            round: now.round,
            offset,
            follow,
        };
        stream::unfold(reader, |mut reader| async move {
            reader.next().await.map(|chunk| (chunk, reader))
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    UntilNow,
    Live,
}

struct Reader {
    log: Arc<Log>,
    written: watch::Receiver<Written>,
    file: Option<File>,
    round: u64,
    offset: u64,
    follow: Follow,
}

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let now = *self.written.borrow_and_update();
            match self.chunk() {
                Ok(chunk) if !chunk.is_empty() => return Some(Ok(chunk)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            if self.round < now.round {
                (self.round, self.offset, self.file) = (now.round, 0, None);
                continue;
            }
            if now.end || self.follow == Follow::UntilNow || self.written.changed().await.is_err() {
                return None;
            }
        }
    }

    /// What the file has beyond `offset`; nothing if it does not exist yet.
    fn chunk(&mut self) -> io::Result<Bytes> {
        if self.file.is_none() {
            let Ok(mut file) = File::open(&self.log.path) else {
                return Ok(Bytes::new());
            };
            file.seek(SeekFrom::Start(self.offset))?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else {
            return Ok(Bytes::new());
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = file.read(&mut chunk)?;
        self.offset += length as u64;
        chunk.truncate(length);
        Ok(Bytes::from(chunk))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    async fn all(stream: impl Stream<Item = io::Result<Bytes>>) -> String {
        let chunks: Vec<_> = stream.map(|chunk| chunk.unwrap().to_vec()).collect().await;
        String::from_utf8(chunks.concat()).unwrap()
    }

    #[tokio::test]
    async fn reader_sees_the_past_then_what_comes_then_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path().join("1.log"), LIMIT_BYTES);
        log.note("one");
        let mut live = Box::pin(log.read(None, Follow::Live));
        assert_eq!(live.next().await.unwrap().unwrap(), "one\n");
        log.note("two");
        assert_eq!(live.next().await.unwrap().unwrap(), "two\n");
        assert_eq!(all(log.read(Some(4), Follow::UntilNow)).await, "two\n");
        log.end();
        assert!(live.next().await.is_none());
    }

    #[tokio::test]
    async fn file_is_begun_anew_at_the_limit_and_readers_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path().join("1.log"), 100);
        log.note(&"a".repeat(120));
        let mut live = Box::pin(log.read(None, Follow::Live));
        assert_eq!(live.next().await.unwrap().unwrap().len(), 121);
        log.note("b");
        log.end();
        let rest = all(live).await;
        assert!(
            rest.starts_with("[earlier output is in ") && rest.ends_with("]\nb\n"),
            "{rest}"
        );
        assert_eq!(
            std::fs::read(dir.path().join("1.log.1")).unwrap().len(),
            121
        );
    }

    #[tokio::test]
    async fn output_that_cannot_be_stored_does_not_stop_the_task() {
        let log = Log::new(PathBuf::from("/proc/nowhere/1.log"), LIMIT_BYTES);
        log.note("lost");
        assert_eq!(all(log.read(None, Follow::UntilNow)).await, "");
    }
}
