//! Which processes belong to an installation, as `/proc` says.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Live;

/// A process that has something to do with the state directory.
#[derive(Debug)]
struct Found {
    pid: u32,
    parent: u32,
    /// The directory of an instance or workspace that it belongs to, or any other path.
    belongs_to: PathBuf,
    words: Vec<Vec<u8>>,
}

/// Looks at all processes but `up`.
pub(super) fn complaints(state: &Path, live: &[Live], up: Option<u32>) -> Complaints {
    let found: Vec<_> = found(state)
        .into_iter()
        .filter(|process| Some(process.pid) != up)
        .collect();
    let mut complaints = Complaints::default();
    for process in &found {
        if !live
            .iter()
            .any(|live| live.owns(state, &process.belongs_to))
        {
            let (pid, of) = (process.pid, process.belongs_to.display());
            complaints
                .not_yet
                .push(format!("process {pid} is left of {of}: {}", process.line()));
        }
    }
    let supervisors = count(&found, "supervisor.json");
    let networks = count(&found, "network/namespace");
    for (dir, number) in supervisors.iter().filter(|(_, number)| **number > 1) {
        let text = format!("{number} supervisors of {}", dir.display());
        complaints.never.push(text);
    }
    for (dir, number) in networks.iter().filter(|(_, number)| **number > 1) {
        let text = format!("{number} networks of {}", dir.display());
        complaints.not_yet.push(text);
    }
    for live in live {
        let dir = live.instance_dir(state);
        if !supervisors.contains_key(&dir) {
            let text = format!("{} is said to run, and has no supervisor", live.workspace);
            complaints.not_yet.push(text);
        }
        if dir.join("network/namespace").is_symlink() && !networks.contains_key(&dir) {
            let text = format!("the network of {} is not connected", live.workspace);
            complaints.not_yet.push(text);
        }
    }
    complaints
}

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// With what may not be at any time.
    pub(super) never: Vec<String>,
    /// With what may be so for a while.
    pub(super) not_yet: Vec<String>,
}

/// How many processes were started with `file` of which instance.
fn count(found: &[Found], file: &str) -> BTreeMap<PathBuf, usize> {
    let mut counts = BTreeMap::new();
    // Between fork and exec a child looks like its parent.
    let looks_like_parent = |process: &&Found| {
        let parent = found.iter().find(|other| other.pid == process.parent);
        parent.is_some_and(|parent| parent.words == process.words)
    };
    let themselves = found.iter().filter(|process| !looks_like_parent(process));
    for word in themselves.flat_map(|process| &process.words) {
        let path = Path::new(OsStr::from_bytes(word));
        if path.ends_with(file) {
            let depth = Path::new(file).components().count();
            let dir = path.ancestors().nth(depth).map(Path::to_path_buf);
            *counts.entry(dir.unwrap_or_default()).or_default() += 1;
        }
    }
    counts
}

impl Found {
    fn line(&self) -> String {
        String::from_utf8_lossy(&self.words.join(&b' ')).into_owned()
    }
}

/// All that carry a path below `state` as mark, as argument or as their directory.
fn found(state: &Path) -> Vec<Found> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| look(pid, state)).collect()
}

fn look(pid: u32, state: &Path) -> Option<Found> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let parts = |name| -> Vec<Vec<u8>> {
        let bytes = std::fs::read(dir.join(name)).unwrap_or_default();
        let parts = bytes
            .split(|byte| *byte == 0)
            .filter(|part| !part.is_empty());
        parts.map(<[u8]>::to_vec).collect()
    };
    let (words, environment) = (parts("cmdline"), parts("environ"));
    let marks = environment
        .iter()
        .filter_map(|entry| entry.strip_prefix(MARKER));
    let cwd = std::fs::read_link(dir.join("cwd")).ok();
    let candidates = marks.chain(words.iter().map(Vec::as_slice));
    let mut candidates = candidates.map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)));
    let belongs_to = candidates
        .find(|path| path.starts_with(state) && path != state)
        .or_else(|| cwd.filter(|path| path.starts_with(state)))?;
    // Commands of the clients themselves name a workspace, not a path.
    Some(Found {
        pid,
        parent: parent_of(&dir).unwrap_or_default(),
        belongs_to,
        words,
    })
}

/// Field 4 of `/proc/<pid>/stat`, proc(5); the name before it may hold anything.
fn parent_of(dir: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// By which processes of an instance are known.
const MARKER: &[u8] = b"GITPOD_INSTANCE_DIR=";

/// Kills whatever is left of an installation that failed.
pub(in crate::torture) fn kill_all(state: &Path) {
    for process in found(state) {
        let pid = i32::try_from(process.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
