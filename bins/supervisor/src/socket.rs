use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use tokio::net::UnixListener;

/// Listens at `path`, for this user only.
///
/// The socket appears there when it already listens with mode 0600, so whoever sees it may connect. One that a dead supervisor
/// left behind is replaced. The address of a socket has at most 107 bytes; a longer path is reached through the directory's
/// file descriptor in `/proc/self/fd`, and whoever connects must do the same.
pub(crate) fn bind(path: &Path) -> Result<UnixListener> {
    refuse_second(path)?;
    let dir = path
        .parent()
        .context("the socket's path has no directory")?;
    let name = path
        .file_name()
        .context("the socket's path has no file name")?;
    let dir = rustix::fs::open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .with_context(|| {
        format!(
            "cannot open {}, where the socket belongs; create it",
            dir.display()
        )
    })?;
    let through_dir = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    let (fresh, ready) = (through_dir.join(".socket.new"), through_dir.join(name));
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)
        .with_context(|| format!("cannot listen at {}", path.display()))?;
    let open = fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&fresh, &ready));
    open.with_context(|| format!("cannot listen at {}", path.display()))?;
    Ok(listener)
}

/// A second supervisor on the same socket would take the workspace over in silence.
fn refuse_second(path: &Path) -> Result<()> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        bail!(
            "another supervisor serves {} already; stop that workspace first",
            path.display()
        );
    }
    Ok(())
}
