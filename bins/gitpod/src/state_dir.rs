//! The directory in which a running `up` keeps everything.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gitpod_lifecycle::process::listen_privately;
use rustix::fs::{FlockOperation, OFlags, flock};

use crate::exit::Failure;

/// The manager's gRPC socket.
pub(crate) const SOCKET: &str = "manager.sock";
/// What is measured, for Prometheus and the like.
pub(crate) const METRICS: &str = "metrics.sock";
/// Instances, workspaces and the outbox.
pub(crate) const DATABASE: &str = "gitpod.db";
const LOCK: &str = "lock";

/// The directory that was named, or the default one.
pub(crate) fn locate(named: Option<&Path>) -> Result<PathBuf, Failure> {
    // An empty variable is as good as none.
    let dir = match named.filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => dir.to_owned(),
        None => default_dir().ok_or_else(|| {
            Failure::failed("cannot tell where to keep state")
                .why("neither XDG_STATE_HOME nor HOME is set")
                .fix("name a directory with --state-dir or GITPOD_STATE_DIR")
        })?,
    };
    std::path::absolute(&dir)
        .map_err(|why| Failure::failed("cannot find the state directory").because(&why))
}

fn default_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute()) // as the XDG specification asks
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .map(|base| base.join("gitpod"))
}

/// The state directory, held by this process alone until it ends.
#[derive(Debug)]
pub(crate) struct HeldStateDir {
    path: PathBuf,
    _lock: File,
}

impl HeldStateDir {
    /// Makes the directory if need be, private to this user, and locks it.
    pub(crate) fn hold(path: PathBuf) -> Result<Self, Failure> {
        let cannot = |why: io::Error| {
            Failure::failed(format!("cannot use the state directory {}", path.display()))
                .because(&why)
                .fix("name one that you may write to with --state-dir")
        };
        make_on_disk(&path).map_err(cannot)?;
        // It may have been made by hand; others must not be able to replace what is in it.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).map_err(cannot)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed()) // what a link leads to is not ours
            .open(path.join(LOCK))
            .map_err(cannot)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(
                Failure::failed(format!("another `gitpod up` uses {}", path.display()))
                    .why(format!("process {} holds its lock", holder(&path)))
                    .fix("use that one, stop it, or name another directory with --state-dir"),
            );
        }
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(cannot)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the socket `name` that an earlier process left behind, and listens anew,
    /// for this user only.
    pub(crate) fn listen(&self, name: &str) -> io::Result<std::os::unix::net::UnixListener> {
        listen_privately(&self.path.join(name))
    }

    /// Removes these sockets, at which nobody will answer any more.
    pub(crate) fn remove_sockets(&self, names: &[&str]) {
        for name in names {
            // One that stays is in nobody's way.
            let _ = std::fs::remove_file(self.path.join(name));
        }
    }
}

/// Makes a directory and what is above it. What is put into it survives a power failure
/// only if its own name does.
fn make_on_disk(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|it| !it.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing {
        made.parent()
            .map_or(Ok(()), |above| File::open(above)?.sync_all())?;
    }
    Ok(())
}

fn holder(path: &Path) -> String {
    std::fs::read_to_string(path.join(LOCK))
        .ok()
        .filter(|pid| !pid.is_empty())
        .unwrap_or_else(|| "of another user".to_owned())
}

#[cfg(test)]
mod tests {
    use gitpod_lifecycle::process::ShortPath;

    use super::*;

    #[test]
    fn second_holder_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let _held = HeldStateDir::hold(dir.path().to_owned()).unwrap();
        let text = HeldStateDir::hold(dir.path().to_owned())
            .unwrap_err()
            .to_string();
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        assert!(text.contains("fix:"), "{text}");
    }

    #[test]
    fn socket_is_for_its_user_only_even_at_a_long_path() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        let held = HeldStateDir::hold(deep.clone()).unwrap();
        let _listener = held.listen(SOCKET).unwrap();
        let mode = std::fs::metadata(deep.join(SOCKET))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let short = ShortPath::of(&deep.join(SOCKET)).unwrap();
        std::os::unix::net::UnixStream::connect(short.as_path()).unwrap();
    }
}
