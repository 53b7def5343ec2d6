//! Ending what runs although nobody knows it.
//!
//! A record or `runner.json` that cannot be read says nothing of what was started. That
//! goes on, and the next run of its workspace would meet it in the same files.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use gitpod_routing::InstanceId;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tracing::warn;

use super::attach::{detach, link_in};
use super::cgroup::Cgroup;
use super::kill::{kill_tree, marked, sweep};
use super::pidfd::{Handle, signal};
use super::private_file::remove;
use super::records::RECORD;
use super::runner_file::RunnerFile;
use super::tree::ProcessId;

/// Ends what runs for the instances below `instances` that are not among `known`, or
/// whose `runner.json` cannot be read. Records that cannot be read stay, with their logs.
pub(crate) async fn end_unknown(
    instances: &Path,
    known: &[InstanceId],
    grace: Duration,
) -> io::Result<()> {
    let known: HashSet<&OsStr> = known.iter().map(|id| OsStr::new(id.as_str())).collect();
    let entries = match fs::read_dir(instances) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut ending = JoinSet::new();
    for entry in entries {
        let dir = entry?.path();
        let file = RunnerFile::load(&dir);
        let is_known = dir.file_name().is_some_and(|name| known.contains(name));
        if !(is_known && file.is_some()) && dir.is_dir() {
            ending.spawn(async move { end(&dir, file, grace).await });
        }
    }
    ending.join_all().await;
    Ok(())
}

/// Ends what runs for the instance of `dir`: asked first, by force after `grace`.
async fn end(dir: &Path, file: Option<RunnerFile>, grace: Duration) {
    let config = dir.join("supervisor.json");
    // Anybody may have written that file: who is named there must look like it.
    let named = file.as_ref().and_then(|file| file.process);
    let named = named.filter(|process| process.has_argument(&config));
    let roots: HashSet<_> = marked(dir).into_iter().chain(named).collect();
    for supervisor in roots.iter().filter(|root| root.has_argument(&config)) {
        warn!(dir = %dir.display(), pid = supervisor.pid, "what nobody knows is ended");
        if let Err(why) = signal(*supervisor, Signal::TERM) {
            warn!(pid = supervisor.pid, %why, "supervisor cannot be asked to end");
        }
        if let Some(handle) = Handle::of(*supervisor) {
            let _ = tokio::time::timeout(grace, handle.ended()).await;
        }
    }
    // What has lost its mark is found below those that have it.
    for root in roots.into_iter().filter(ProcessId::is_alive) {
        kill_tree(root).await;
    }
    let noted = file.and_then(|file| file.cgroup).map(Cgroup::at);
    let groups: Vec<_> = Cgroup::of(dir).into_iter().chain(noted).collect();
    sweep(dir, None).await;
    for group in &groups {
        sweep(dir, Some(group)).await;
        group.remove();
    }
    detach(&link_in(dir));
    if !dir.join(RECORD).exists() {
        return remove_whole(dir); // nobody will ever ask for it
    }
    for left in [RunnerFile::path(dir), config, dir.join("supervisor.sock")] {
        if let Err(why) = remove(&left) {
            warn!(path = %left.display(), %why, "file of an ended runner cannot be removed");
        }
    }
}

fn remove_whole(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => {
            warn!(dir = %dir.display(), %why, "directory of a run that is over cannot be removed");
        }
        _ => {}
    }
}
