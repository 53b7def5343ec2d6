//! What the system lets this user have, and what `up` lets others have.

use std::path::Path;
use std::time::Duration;

use gitpod_lifecycle::process::ShortPath;
use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};
use support::limits::{Limit, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::Finding;
use crate::cli::StateDir;
use crate::state_dir;

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

/// What `up` takes from anybody: the limits in force, or those that it would have.
pub(super) async fn in_force(state: &StateDir) -> Finding {
    let measured = tokio::time::timeout(WITHIN, measured(state)).await;
    let limits = measured.ok().flatten();
    let limits = limits.and_then(|text| Limits::of_metrics(&text));
    let whose = match limits {
        Some(_) => "in force",
        None => "as they are without --limit",
    };
    let limits = limits.unwrap_or_default();
    let all = Limit::ALL.map(|limit| format!("{}={}", limit.name(), limits.text(limit)));
    let all = all.join(", ");
    Finding::ok(
        "limits",
        format!("{whose}: {all}; to change one: gitpod up --limit NAME=VALUE"),
    )
}

/// How long an `up` that is well takes to tell, and more.
const WITHIN: Duration = Duration::from_secs(5);

/// What the running `up` measures, as Prometheus gets it.
async fn measured(state: &StateDir) -> Option<String> {
    let dir = state_dir::locate(state.state_dir.as_deref()).ok()?;
    let socket = ShortPath::of(&dir.join(state_dir::METRICS)).ok()?;
    let mut stream = UnixStream::connect(socket.as_path()).await.ok()?;
    let request = b"GET /metrics HTTP/1.1\r\nhost: up\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
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
