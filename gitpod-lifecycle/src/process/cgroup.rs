//! Control groups (version 2), where this user may make some.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::tree::ProcessId;

/// The control group of one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// The group at `path`, made earlier.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes a group for the instance that is kept in `dir`, below this process's
    /// own or beside it; `None` where neither is possible. One that can limit
    /// memory is preferred.
    pub(crate) fn make(dir: &Path) -> Option<Self> {
        let name = name_of(dir)?;
        let mut made: Option<Self> = None;
        for base in bases() {
            let Some(group) = Self::make_in(&base, &name) else {
                continue;
            };
            if group.path.join("memory.max").exists() {
                made.iter().for_each(Self::remove);
                return Some(group);
            }
            match made {
                None => made = Some(group),
                Some(_) => group.remove(),
            }
        }
        made
    }

    /// The groups that an earlier process may have made for it, if they are where this
    /// one would make them.
    pub(crate) fn of(dir: &Path) -> Vec<Self> {
        let paths = bases()
            .into_iter()
            .filter_map(|base| Some(base.join(name_of(dir)?)));
        let there = paths.filter(|path| path.is_dir());
        there.map(Self::at).collect()
    }

    fn make_in(base: &Path, name: &str) -> Option<Self> {
        // Who moves a process has to write here: cgroups(7), delegation.
        rustix::fs::access(base.join("cgroup.procs"), Access::WRITE_OK).ok()?;
        // Not where processes are in `base` itself; then what is there must do.
        let _ = fs::write(base.join("cgroup.subtree_control"), "+memory +pids");
        let path = base.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Some(Self { path }),
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Some(Self { path }),
            Err(_) => None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves `process` here.
    pub(crate) fn take(&self, process: ProcessId) -> std::io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), process.pid.to_string())
    }

    /// What is in it. It stays what it was for processes started later.
    pub(crate) fn processes(&self) -> Vec<ProcessId> {
        let list = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        let pids = list.lines().filter_map(|line| line.parse().ok());
        pids.filter_map(ProcessId::of)
            .filter(ProcessId::is_alive)
            .collect()
    }

    /// Has the kernel kill everything in it, at once; tells what is still there.
    pub(crate) fn kill(&self) -> Vec<ProcessId> {
        let left = self.processes();
        if !left.is_empty() {
            let _ = fs::write(self.path.join("cgroup.kill"), "1"); // since Linux 5.14; else one by one
        }
        left
    }

    /// Removes it, empty as it is.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }

    /// Sets a limit. `false` if there is no such controller here.
    pub(crate) fn limit(&self, file: &str, value: u64) -> bool {
        fs::write(self.path.join(file), value.to_string()).is_ok()
    }
}

/// Two state directories may know the same instance.
fn name_of(dir: &Path) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    let instance = dir.file_name()?.to_str()?;
    Some(format!("gitpod-{instance}-{:016x}", hasher.finish()))
}

/// Where groups may be made: below this process's own, and beside it.
fn bases() -> Vec<PathBuf> {
    let Some((mount, own)) = own_group() else {
        return Vec::new();
    };
    let beside = own.parent().map(|parent| mount.join(parent));
    [mount.join(&own)].into_iter().chain(beside).collect()
}

/// Where groups are mounted, and the one that this process is in.
fn own_group() -> Option<(PathBuf, PathBuf)> {
    let mount = mount_point(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let own = own_path(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
    Some((mount, own))
}

/// Where version 2 is mounted. **Source:** proc(5), `mountinfo`.
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let of_version_2 = file_system.split(' ').next() == Some("cgroup2");
        let point = mount.split(' ').nth(4).filter(|_| of_version_2)?;
        Some(PathBuf::from(point))
    })
}

/// Path of this process's group below that. **Source:** cgroups(7).
fn own_path(cgroups: &str) -> Option<PathBuf> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_point_and_own_group_are_read() {
        let mountinfo = "\
30 24 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw
";
        assert_eq!(
            mount_point(mountinfo),
            Some("/sys/fs/cgroup/unified".into())
        );
        assert_eq!(
            own_path("4:memory:/x\n0::/user.slice/a\n"),
            Some("user.slice/a".into())
        );
        assert_eq!(own_path("4:memory:/x\n"), None);
        assert_eq!(mount_point("nonsense"), None);
    }
}
