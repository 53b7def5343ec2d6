//! Whose a socket is.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;

use super::tree::{ProcessId, ProcessTable};
use crate::memory::lock;

/// Tells whether sockets belong to the process tree of a workspace.
///
/// Who held a socket the last time is asked first, so that looking again costs a
/// few reads instead of one per process of the system.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    held: Mutex<HashMap<u64, Holder>>,
}

/// A process that holds a socket under this descriptor.
#[derive(Clone, Copy, Debug)]
struct Holder {
    process: ProcessId,
    descriptor: u32,
}

impl Owners {
    /// Whether each of `inodes` is held by `root` or by what that has started.
    pub(crate) fn all_within(&self, inodes: &[u64], root: ProcessId) -> bool {
        if self.knows_all_within(inodes, root) {
            return true;
        }
        let found = sockets_within(root);
        let all = inodes
            .iter()
            .all(|inode| found.contains_key(inode) || self.known_within(*inode, root));
        let mut held = lock(&self.held);
        if held.len() > MOST_REMEMBERED {
            held.clear();
        }
        held.extend(found);
        all && root.is_alive()
    }

    /// The same, as far as who held them the last time still does.
    pub(crate) fn knows_all_within(&self, inodes: &[u64], root: ProcessId) -> bool {
        let known = |inode: &u64| self.known_within(*inode, root);
        inodes.iter().all(known) && root.is_alive()
    }

    fn known_within(&self, inode: u64, root: ProcessId) -> bool {
        let known = lock(&self.held).get(&inode).copied();
        known.is_some_and(|holder| holder.holds(inode) && holder.process.is_within(root))
    }
}

/// Far more than the sockets of a machine's workspaces; a sign that most are gone.
const MOST_REMEMBERED: usize = 10_000;

impl Holder {
    fn holds(&self, inode: u64) -> bool {
        let path = format!("/proc/{}/fd/{}", self.process.pid, self.descriptor);
        socket_at(&path) == Some(inode) && self.process.is_alive()
    }
}

fn socket_at(path: &str) -> Option<u64> {
    let target = fs::read_link(path).ok()?;
    target
        .to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// All sockets that `root` and its descendants hold.
fn sockets_within(root: ProcessId) -> HashMap<u64, Holder> {
    let mut processes = ProcessTable::read().descendants(root);
    processes.push(root);
    processes.into_iter().flat_map(sockets_of).collect()
}

fn sockets_of(process: ProcessId) -> Vec<(u64, Holder)> {
    let dir = format!("/proc/{}/fd", process.pid);
    let descriptors = fs::read_dir(&dir).into_iter().flatten().flatten();
    let held = descriptors.filter_map(|entry| {
        let descriptor = entry.file_name().to_str()?.parse().ok()?;
        let inode = socket_at(&format!("{dir}/{descriptor}"))?;
        Some((
            inode,
            Holder {
                process,
                descriptor,
            },
        ))
    });
    let held: Vec<_> = held.collect();
    match process.is_alive() {
        true => held,
        false => Vec::new(), // its number may be another's by now
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn own_socket_is_within_and_others_are_not() {
        let own = ProcessId::of(std::process::id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = socket_at(&format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let owners = Owners::default();
        for _ in 0..2 {
            assert!(owners.all_within(&[inode], own)); // found, then remembered
        }
        assert!(!owners.all_within(&[inode, u64::MAX], own));
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let other = ProcessId::of(child.id()).unwrap();
        assert!(!owners.all_within(&[inode], other));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!owners.all_within(&[], other));
        drop(listener);
        assert!(!owners.all_within(&[inode], own));
    }
}
