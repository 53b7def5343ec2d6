//! What the tasks of a workspace have printed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::local::LogsResponse;

/// How often files are looked at while somebody follows them.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const CHUNK: usize = 16 * 1024;

/// Reads the log files of one run, each from where it was last read to.
#[derive(Debug)]
pub(super) struct TaskLogs {
    dir: PathBuf,
    task: Option<String>,
    read_to: BTreeMap<PathBuf, u64>,
}

impl TaskLogs {
    /// All logs in `dir`, or only those of task `task`.
    pub(super) fn new(dir: PathBuf, task: Option<String>) -> Self {
        Self {
            dir,
            task,
            read_to: BTreeMap::new(),
        }
    }

    /// What has been printed since the last call, at most one chunk per task.
    /// Empty: nothing new.
    pub(super) async fn next(&mut self) -> io::Result<Vec<LogsResponse>> {
        let mut news = Vec::new();
        for path in self.files().await? {
            let task = task_of(&path);
            if self.task.as_ref().is_some_and(|wanted| *wanted != task) {
                continue;
            }
            let from = self.read_to.entry(path.clone()).or_default();
            let data = read(&path, *from).await?;
            *from += data.len() as u64;
            if !data.is_empty() {
                news.push(LogsResponse { task, data });
            }
        }
        Ok(news)
    }

    /// Names of the tasks that have a log.
    pub(super) async fn tasks(&self) -> io::Result<Vec<String>> {
        let files = self.files().await?;
        Ok(files.iter().map(|path| task_of(path)).collect())
    }

    /// Waits until it is worth looking again.
    pub(super) async fn pause() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }

    async fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut entries = match tokio::fs::read_dir(&self.dir).await {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// `0-web.log` is the log of task `web`.
fn task_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match stem.split_once('-') {
        Some((number, name)) if number.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
        _ => stem.into_owned(),
    }
}

async fn read(path: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    file.seek(io::SeekFrom::Start(from)).await?;
    let mut data = Vec::new();
    file.take(CHUNK as u64).read_to_end(&mut data).await?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_byte_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut logs = TaskLogs::new(dir.path().to_owned(), None);
        assert!(logs.next().await.unwrap().is_empty());
        std::fs::write(dir.path().join("0-web.log"), "one").unwrap();
        let news = logs.next().await.unwrap();
        assert_eq!(
            (news[0].task.as_str(), news[0].data.as_slice()),
            ("web", &b"one"[..])
        );
        assert!(logs.next().await.unwrap().is_empty());
        std::fs::write(dir.path().join("0-web.log"), "one two").unwrap();
        assert_eq!(logs.next().await.unwrap()[0].data, b" two");
    }
}
