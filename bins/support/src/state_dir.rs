//! A directory that one process at a time may use.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, OFlags, flock};

/// A directory that is this process's until it ends: private to its user, and locked with the same file as
/// `gitpod up` locks its own.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

const LOCK: &str = "lock";

impl StateDir {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    ///
    /// If it cannot be had, or another process has it.
    pub fn hold(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot use the state directory {}", path.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(cannot)?;
        // It may have been made by hand; others must not be able to replace what is in it.
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).with_context(cannot)?;
        let path = path.canonicalize().with_context(cannot)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed()) // what a link leads to is not ours
            .open(path.join(LOCK))
            .with_context(cannot)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let holder = std::fs::read_to_string(path.join(LOCK)).unwrap_or_default();
            bail!(
                "process {holder} uses the state directory {}; stop it, or configure another directory",
                path.display()
            );
        }
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .with_context(cannot)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, from the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = StateDir::hold(&dir.path().join("a/b")).unwrap();
        let text = StateDir::hold(held.path()).unwrap_err().to_string();
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        let mode = held.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
