//! Ending everything that belongs to a workspace.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tracing::error;

use super::cgroup::Cgroup;
use super::pidfd::signal;
use super::tree::{ProcessId, ProcessTable, carries};

/// Name of the variable by which processes of an instance are known even after
/// their supervisor is gone. Its value is the directory of the instance, which no
/// other instance has. A git that clones carries it with the directory of the workspace.
pub(crate) const MARKER: &str = "GITPOD_INSTANCE_DIR";

/// Ends `supervisor` and all of its descendants by force.
///
/// Those come first, while the supervisor still is the parent of every orphan:
/// so nobody can leave the tree meanwhile. They are stopped before they are
/// killed, so that nobody can start others faster than they are found.
pub(crate) async fn kill_tree(supervisor: ProcessId) {
    let mut stopped = HashSet::new();
    loop {
        let found = ProcessTable::read().descendants(supervisor);
        let fresh: Vec<_> = found
            .iter()
            .filter(|process| stopped.insert(**process))
            .collect();
        fresh
            .iter()
            .for_each(|process| send(**process, Signal::STOP));
        if fresh.is_empty() {
            break;
        }
    }
    until_none(|| ProcessTable::read().descendants(supervisor)).await;
    send(supervisor, Signal::KILL);
}

/// Ends what an instance has left behind when its supervisor is gone: whatever is
/// in its cgroup, and whatever carries its mark in its environment.
pub(crate) async fn sweep(instance_dir: &Path, cgroup: Option<&Cgroup>) {
    until_none(|| {
        let mut left: HashSet<_> = marked(instance_dir).into_iter().collect();
        left.extend(cgroup.into_iter().flat_map(Cgroup::kill));
        left.into_iter().collect()
    })
    .await;
}

/// What carries the mark of `instance_dir` in its environment.
pub(crate) fn marked(instance_dir: &Path) -> Vec<ProcessId> {
    let mut marker = format!("{MARKER}=").into_bytes();
    marker.extend_from_slice(instance_dir.as_os_str().as_bytes());
    let own = std::process::id();
    ProcessTable::read()
        .iter()
        .filter(|process| process.pid != own && carries(*process, &marker))
        .collect()
}

/// Kills what `find` finds until it finds nothing.
async fn until_none(find: impl Fn() -> Vec<ProcessId>) {
    let mut empty_looks = 0;
    for _ in 0..ATTEMPTS {
        let found = find();
        // One look may miss what is started while it goes on.
        empty_looks = if found.is_empty() { empty_looks + 1 } else { 0 };
        if empty_looks == 2 {
            return;
        }
        if found.is_empty() {
            continue;
        }
        found
            .iter()
            .for_each(|process| send(*process, Signal::KILL));
        tokio::time::sleep(PAUSE).await;
    }
    error!(left = ?find(), "processes survive SIGKILL: they wait for a device that does not answer");
}

/// The kernel needs a moment to end a process; 10 seconds are far more than that.
const PAUSE: Duration = Duration::from_millis(5);
const ATTEMPTS: u32 = 2000;

fn send(process: ProcessId, what: Signal) {
    if let Err(why) = signal(process, what) {
        error!(pid = process.pid, %why, "process cannot be signalled");
    }
}
