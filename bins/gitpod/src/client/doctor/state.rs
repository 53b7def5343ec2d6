//! The state directory, and the disk it is on.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, StatVfs, access, statvfs};

use super::Finding;
use crate::cli::StateDir;
use crate::exit::Failure;
use crate::state_dir;

pub(super) fn checks(state: &StateDir) -> Result<Vec<Finding>, Failure> {
    let dir = state_dir::locate(state.state_dir.as_deref())?;
    // It is made by the first `up`: till then what it would be made in counts.
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(&dir);
    let mut findings = vec![directory(&dir, there)];
    if let Ok(disk) = statvfs(there) {
        findings.push(space(there, &disk));
        findings.extend(files(there, &disk));
    }
    Ok(findings)
}

fn directory(dir: &Path, there: &Path) -> Finding {
    let shown = dir.display();
    let other = "name one that you may write to with --state-dir or GITPOD_STATE_DIR";
    if access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::problem(
            "state directory",
            format!("{shown} cannot be written to"),
            other,
        );
    }
    let Ok(about) = std::fs::metadata(dir) else {
        return Finding::ok("state directory", format!("{shown} will be made"));
    };
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Finding::problem(
            "state directory",
            format!("{shown} is another user's"),
            other,
        );
    }
    match about.permissions().mode() & 0o077 {
        0 => Finding::ok("state directory", shown.to_string()),
        _ => Finding::note(
            "state directory",
            format!("others may look into {shown}"),
            format!("chmod 700 {shown}; `gitpod up` does so, too"),
        ),
    }
}

const MIB: u64 = 1 << 20;

fn space(there: &Path, disk: &StatVfs) -> Finding {
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) / MIB;
    let found = format!("{free} MiB are free at {}", there.display());
    let fix = "remove workspaces with `gitpod delete`, or name another disk with --state-dir";
    match free {
        0..100 => Finding::problem("disk", found, fix),
        100..1024 => Finding::note("disk", found, fix),
        _ => Finding::ok("disk", found),
    }
}

/// Some file systems do not count files.
fn files(there: &Path, disk: &StatVfs) -> Option<Finding> {
    let few = disk.f_files > 0 && disk.f_favail < 10_000;
    few.then(|| {
        Finding::note(
            "disk",
            format!(
                "only {} more files can be made at {}",
                disk.f_favail,
                there.display()
            ),
            "remove workspaces with `gitpod delete`, or name another disk with --state-dir",
        )
    })
}
