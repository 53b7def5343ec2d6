//! What the system lets this user have.

use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};

use super::Finding;

pub(super) fn checks() -> Vec<Finding> {
    let watches = sysctl("fs/inotify/max_user_watches");
    let instances = sysctl("fs/inotify/max_user_instances");
    [
        Some(open_files(getrlimit(Resource::Nofile).maximum)),
        Some(processes(getrlimit(Resource::Nproc).current)),
        watches.map(|most| inotify("max_user_watches", most, 65_536)),
        instances.map(|most| inotify("max_user_instances", most, 256)),
        Some(control_groups()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn open_files(most: Option<u64>) -> Finding {
    match most {
        Some(most) if most < 4096 => Finding::note(
            "open files",
            format!("a process may have {most}; each connection takes two"),
            "raise it: ulimit -Hn 65536, or LimitNOFILE= of its service",
        ),
        Some(most) => Finding::ok("open files", format!("a process may have {most}")),
        None => Finding::ok("open files", "no limit"),
    }
}

fn processes(most: Option<u64>) -> Finding {
    match most {
        Some(most) if most < 2048 => Finding::note(
            "processes",
            format!("this user may have {most}, for all workspaces together"),
            "raise it: ulimit -u 8192, or TasksMax= of its service",
        ),
        Some(most) => Finding::ok("processes", format!("this user may have {most}")),
        None => Finding::ok("processes", "no limit"),
    }
}

/// Editors and build tools watch files.
fn inotify(name: &str, most: u64, enough: u64) -> Finding {
    let found = format!("fs.inotify.{name} is {most}");
    if most >= enough {
        return Finding::ok("file watching", found);
    }
    let fix =
        format!("as root: sysctl fs.inotify.{name}={enough}, and the same line in /etc/sysctl.d");
    Finding::note("file watching", found, fix)
}

fn sysctl(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
    text.trim().parse().ok()
}

/// Whether limits can be those of a workspace as a whole.
fn control_groups() -> Finding {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let dir = group.map(|group| Path::new("/sys/fs/cgroup").join(group));
    let writable = dir.filter(|dir| {
        dir.join("cgroup.controllers").exists() && access(dir, Access::WRITE_OK).is_ok()
    });
    match writable {
        Some(dir) => Finding::ok(
            "control groups",
            format!("{} is this user's", dir.display()),
        ),
        None => Finding::note(
            "control groups",
            "there are none for this user, so limits hold for each process alone",
            "start it with: systemd-run --user --scope -p Delegate=yes gitpod up",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn low_limits_are_noted_with_a_fix_and_high_ones_are_well() {
        for (finding, status) in [
            (open_files(Some(1024)), Status::Note),
            (open_files(Some(65_536)), Status::Ok),
            (open_files(None), Status::Ok),
            (processes(Some(100)), Status::Note),
            (inotify("max_user_watches", 8192, 65_536), Status::Note),
            (inotify("max_user_watches", 65_536, 65_536), Status::Ok),
        ] {
            assert_eq!(finding.status, status, "{finding:?}");
            assert_eq!(finding.fix.is_some(), status == Status::Note, "{finding:?}");
        }
    }
}
