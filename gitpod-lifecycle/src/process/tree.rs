//! Processes and who started whom, as `/proc` says.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process that cannot be confused with a later one of the same number.
///
/// The kernel gives numbers out again; together with the moment of its start,
/// in clock ticks since the system booted, a number stays unique until then.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since the system booted.
    pub started: u64,
}

impl ProcessId {
    /// The process that has number `pid` now, if there is one.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let started = stat_of(pid)?.started;
        Some(Self { pid, started })
    }

    /// Whether it was started by `root`, directly or not, or is `root`; and both
    /// have not ended.
    #[must_use]
    pub fn is_within(&self, root: Self) -> bool {
        let (mut now, mut steps) = (*self, 0);
        while now != root {
            let parent = stat_of(now.pid).filter(|stat| stat.started == now.started);
            let Some(parent) = parent.and_then(|stat| Self::of(stat.parent)) else {
                return false;
            };
            steps += 1;
            if steps > DEEPEST_TREE {
                return false;
            }
            now = parent;
        }
        self.is_alive() && root.is_alive()
    }

    /// Whether `path` is one of the words that it was started with.
    pub(crate) fn has_argument(&self, path: &Path) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.any(|word| word == path.as_os_str().as_bytes()) && self.is_alive()
    }

    /// Whether this very process exists and has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        stat_of(self.pid).is_some_and(|stat| stat.started == self.started && !stat.has_ended())
    }
}

/// Each look takes some 10 µs, so parents would have to end very quickly to need more.
const LOOKS_AT_ORPHANS: u32 = 10;

/// Nobody starts processes that deep; a circle, seen while numbers change, is one.
const DEEPEST_TREE: u32 = 10_000;

/// What one line of `/proc/<pid>/stat` says.
///
/// **Source:** proc(5), fields 3, 4 and 22.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stat {
    state: u8,
    parent: u32,
    started: u64,
}

impl Stat {
    /// `None` for anything that is not such a line. The name of a program may
    /// hold spaces and parentheses: it ends at the last one.
    fn parse(line: &str) -> Option<Self> {
        let (_, after_name) = line.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self {
            state,
            parent,
            started,
        })
    }

    /// Whether only its exit code is left of it.
    fn has_ended(self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

fn stat_of(pid: u32) -> Option<Stat> {
    Stat::parse(&String::from_utf8_lossy(
        &fs::read(format!("/proc/{pid}/stat")).ok()?,
    ))
}

/// All processes of the system at one moment, or close to it.
#[derive(Clone, Debug, Default)]
pub struct ProcessTable {
    stats: HashMap<u32, Stat>,
}

impl ProcessTable {
    /// Reads `/proc`. Processes that end meanwhile may be missing.
    #[must_use]
    pub fn read() -> Self {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let stats = pids.filter_map(|pid: u32| Some((pid, stat_of(pid)?)));
        let mut table = Self {
            stats: stats.collect(),
        };
        for _ in 0..LOOKS_AT_ORPHANS {
            if !table.look_at_orphans_again() {
                break;
            }
        }
        table
    }

    /// A process whose parent has ended while the table was read has another one
    /// by now. Answers whether there were any.
    fn look_at_orphans_again(&mut self) -> bool {
        let known = |pid: u32| pid == 0 || self.stats.contains_key(&pid);
        let orphans = self.stats.iter().filter(|(_, stat)| !known(stat.parent));
        let orphans: Vec<_> = orphans.map(|(pid, stat)| (*pid, stat.parent)).collect();
        for pid in orphans.iter().flat_map(|(pid, parent)| [*pid, *parent]) {
            match stat_of(pid) {
                Some(stat) => drop(self.stats.insert(pid, stat)),
                None => drop(self.stats.remove(&pid)),
            }
        }
        !orphans.is_empty()
    }

    /// The processes that `root` started, they started, and so on; without
    /// `root`, and without those that have ended. Empty if `root` is gone.
    #[must_use]
    pub fn descendants(&self, root: ProcessId) -> Vec<ProcessId> {
        if self
            .stats
            .get(&root.pid)
            .is_none_or(|stat| stat.started != root.started)
        {
            return Vec::new();
        }
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (pid, stat) in &self.stats {
            children.entry(stat.parent).or_default().push(*pid);
        }
        let mut seen = HashSet::from([root.pid]);
        let mut open = vec![root.pid];
        let mut found = Vec::new();
        while let Some(pid) = open.pop() {
            for child in children.get(&pid).into_iter().flatten() {
                if seen.insert(*child) {
                    open.push(*child);
                    found.extend(self.live(*child));
                }
            }
        }
        found
    }

    /// Whether `process` is `root` or was started by it, directly or not.
    #[must_use]
    pub fn is_within(&self, process: ProcessId, root: ProcessId) -> bool {
        let mut pid = process.pid;
        for _ in 0..self.stats.len() {
            if pid == root.pid {
                return self
                    .stats
                    .get(&pid)
                    .is_some_and(|stat| stat.started == root.started);
            }
            match self.stats.get(&pid) {
                Some(stat) if stat.parent != 0 => pid = stat.parent,
                _ => return false,
            }
        }
        false
    }

    /// All processes that have not ended.
    pub fn iter(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.stats.keys().filter_map(|pid| self.live(*pid))
    }

    fn live(&self, pid: u32) -> Option<ProcessId> {
        let stat = self.stats.get(&pid).filter(|stat| !stat.has_ended())?;
        Some(ProcessId {
            pid,
            started: stat.started,
        })
    }
}

/// Whether `process` was started with `name=value` in its environment.
///
/// Only says something of processes of the same user, and of those that kept
/// the variable.
#[must_use]
pub(crate) fn carries(process: ProcessId, marker: &[u8]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{}/environ", process.pid)) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|entry| entry == marker)
        && process.is_alive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces_do_not_shift_fields() {
        let line = "42 (a) S (b) R 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 2";
        let expected = Stat {
            state: b'R',
            parent: 7,
            started: 9876,
        };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn broken_lines_are_no_processes() {
        for line in [
            "",
            "42",
            "42 (x",
            "42 (x)",
            "42 (x) R",
            "42 (x) R a 1",
            "42 (x) R 1 2 3",
        ] {
            assert_eq!(Stat::parse(line), None, "{line:?}");
        }
    }

    fn table(rows: &[(u32, u32)]) -> ProcessTable {
        let stat = |parent| Stat {
            state: b'S',
            parent,
            started: 1,
        };
        ProcessTable {
            stats: rows
                .iter()
                .map(|(pid, parent)| (*pid, stat(*parent)))
                .collect(),
        }
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_others_are_not() {
        let table = table(&[(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (21, 20)]);
        let root = ProcessId {
            pid: 10,
            started: 1,
        };
        let mut found: Vec<_> = table.descendants(root).iter().map(|p| p.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [11, 12]);
        assert!(table.is_within(
            ProcessId {
                pid: 12,
                started: 1
            },
            root
        ));
        assert!(!table.is_within(
            ProcessId {
                pid: 21,
                started: 1
            },
            root
        ));
    }

    #[test]
    fn reused_number_is_another_process() {
        let table = table(&[(1, 0), (10, 1), (11, 10)]);
        let earlier = ProcessId {
            pid: 10,
            started: 0,
        };
        assert!(table.descendants(earlier).is_empty());
        assert!(!table.is_within(
            ProcessId {
                pid: 11,
                started: 1
            },
            earlier
        ));
    }

    #[test]
    fn circles_end() {
        let table = table(&[(10, 11), (11, 10)]);
        let root = ProcessId {
            pid: 10,
            started: 1,
        };
        assert_eq!(table.descendants(root).len(), 1);
        let stranger = ProcessId { pid: 5, started: 1 };
        assert!(!table.is_within(
            ProcessId {
                pid: 11,
                started: 1
            },
            stranger
        ));
    }

    #[test]
    fn this_process_is_found_alive() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(ProcessTable::read().iter().any(|process| process == own));
    }
}
