//! What the tasks of a workspace have printed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::local::LogsResponse;
use crate::private_file;

/// How often files are looked at while somebody follows them.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const CHUNK: u64 = 16 * 1024;
/// Some thousand names. Where they are, processes of the workspace write, too.
const MOST_NAMES: u64 = 256 * 1024;

/// Reads the log files of one run, each from where it was last read to.
#[derive(Debug)]
pub(super) struct TaskLogs {
    dir: PathBuf,
    task: Option<String>,
    read_to: BTreeMap<PathBuf, u64>,
    /// What people call the tasks, by id.
    names: BTreeMap<String, String>,
}

impl TaskLogs {
    /// All logs in `dir`, or only that of task `task`: its name, or how files are named after it.
    pub(super) fn new(dir: PathBuf, task: Option<String>) -> Self {
        Self {
            dir,
            task,
            read_to: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// Goes on where somebody has read to, by names of logs as responses say them.
    pub(super) fn read_to(mut self, places: &HashMap<String, u64>) -> Self {
        let path = |log: &String| self.dir.join(format!("{log}.log"));
        let places = places.iter().map(|(log, to)| (path(log), *to));
        self.read_to = places.collect();
        self
    }

    /// What has been printed since the last call, at most one chunk per task.
    /// Empty: nothing new.
    pub(super) async fn next(&mut self) -> io::Result<Vec<LogsResponse>> {
        let mut news = Vec::new();
        self.learn_names().await;
        for path in self.files().await? {
            let names = Names::of(&path, &self.names);
            if self.task.as_ref().is_some_and(|task| !names.include(task)) {
                continue;
            }
            let task = names.name;
            let from = self.read_to.entry(path.clone()).or_default();
            // What is no file of ours has nothing to say.
            let data = read(&path, *from, CHUNK).await.unwrap_or_default();
            *from += data.len() as u64;
            if !data.is_empty() {
                news.push(LogsResponse {
                    task,
                    data,
                    log: names.id,
                    read_to: *from,
                    ..LogsResponse::default()
                });
            }
        }
        Ok(news)
    }

    /// Names of the tasks of the run, if the one that is asked for is none of them.
    pub(super) async fn others(&mut self) -> io::Result<Option<Vec<String>>> {
        self.learn_names().await;
        let files = self.files().await?;
        let silent = self
            .names
            .keys()
            .map(|id| self.dir.join(format!("{id}.log")));
        let all: BTreeSet<PathBuf> = silent.chain(files).collect();
        let all: Vec<_> = all
            .iter()
            .map(|path| Names::of(path, &self.names))
            .collect();
        let is_known = |task| all.iter().any(|names| names.include(task));
        // All tasks begin together, so what none has when others have will never be.
        if all.is_empty() || self.task.as_deref().is_none_or(is_known) {
            return Ok(None);
        }
        Ok(Some(all.into_iter().map(|names| names.name).collect()))
    }

    /// Whether one task is asked for.
    pub(super) fn is_of_one(&self) -> bool {
        self.task.is_some()
    }

    /// Whether the one that is asked for is called `name`.
    pub(super) fn is_of(&self, name: &str) -> bool {
        let Some(task) = &self.task else { return false };
        let known = self.names.iter().find(|(_, it)| it.as_str() == name);
        known.map_or(task == name, |(id, name)| {
            let (id, name) = (id.clone(), name.clone());
            Names { name, id }.include(task)
        })
    }

    /// What its supervisor has written down. Without it, files have names as well.
    async fn learn_names(&mut self) {
        if !self.names.is_empty() {
            return;
        }
        let path = self.dir.join("tasks.json");
        let text = read(&path, 0, MOST_NAMES).await.unwrap_or_default();
        let names = serde_json::from_slice(&text).ok();
        self.names = names.unwrap_or_default();
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

/// What the task of a log may be called.
struct Names {
    /// As its `.gitpod.yml` says.
    name: String,
    /// The log without `.log`.
    id: String,
}

impl Names {
    fn of(path: &Path, names: &BTreeMap<String, String>) -> Self {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = names.get(&*id).cloned();
        let name = name.unwrap_or_else(|| slug(&id).to_owned());
        let id = id.into_owned();
        Self { name, id }
    }

    fn include(&self, task: &str) -> bool {
        self.name == task || self.id == task || slug(&self.id) == task
    }
}

/// `1-web` is the log of task `web`.
fn slug(id: &str) -> &str {
    match id.split_once('-') {
        Some((number, name)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => id,
    }
}

/// At most so many bytes of a file that processes of the workspace may have replaced.
async fn read(path: &Path, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    let read = spawn_blocking(move || {
        let mut file = private_file::open_own(&path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut data = Vec::new();
        file.take(most).read_to_end(&mut data)?;
        Ok(data)
    });
    read.await.map_err(io::Error::other)?
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

    #[tokio::test]
    async fn task_is_found_by_its_name_and_by_that_of_its_file_also_if_it_is_silent() {
        let dir = tempfile::tempdir().unwrap();
        let names = r#"{"1-web-server":"Web Server","2-silent":"Silent"}"#;
        std::fs::write(dir.path().join("tasks.json"), names).unwrap();
        std::fs::write(dir.path().join("1-web-server.log"), "one").unwrap();
        let of = |task: &str| TaskLogs::new(dir.path().to_owned(), Some(task.to_owned()));
        for task in ["Web Server", "web-server", "1-web-server"] {
            assert_eq!(of(task).others().await.unwrap(), None, "{task}");
            let news = of(task).next().await.unwrap();
            assert_eq!(news[0].task, "Web Server", "{task}");
        }
        assert_eq!(of("Silent").others().await.unwrap(), None);
        assert!(of("Silent").next().await.unwrap().is_empty());
        let mut silent = of("silent");
        silent.others().await.unwrap();
        assert!(silent.is_of("Silent") && !silent.is_of("Web Server"));
        let others = of("web").others().await.unwrap().unwrap();
        assert_eq!(others, ["Web Server", "Silent"]);
    }

    #[tokio::test]
    async fn what_a_workspace_puts_in_the_place_of_a_log_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("1-web.log"), "one").unwrap();
        for name in ["0-pipe.log", "tasks.json"] {
            private_file::make_pipe(&at(name));
        }
        std::os::unix::fs::symlink("/etc/passwd", at("2-link.log")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("3-endless.log")).unwrap();
        std::fs::create_dir(at("4-dir.log")).unwrap();
        let mut logs = TaskLogs::new(dir.path().to_owned(), None);
        let news = logs.next().await.unwrap();
        assert_eq!((news.len(), news[0].data.as_slice()), (1, &b"one"[..]));
    }
}
