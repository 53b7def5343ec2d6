use std::path::Path;

use anyhow::{Context, Result, bail};
use gitpod_lifecycle::process::{ShortPath, listen_privately};
use tokio::net::UnixListener;

/// Listens at `path`, for this user only. A socket that a dead supervisor left behind is replaced.
pub(crate) fn bind(path: &Path) -> Result<UnixListener> {
    refuse_second(path)?;
    let listener = listen_privately(path).with_context(|| {
        format!(
            "cannot listen at {}; create its directory, or fix its owner",
            path.display()
        )
    })?;
    UnixListener::from_std(listener).context("cannot wait for connections")
}

/// A second supervisor on the same socket would take the workspace over in silence.
fn refuse_second(path: &Path) -> Result<()> {
    let connected = ShortPath::of(path)
        .and_then(|short| std::os::unix::net::UnixStream::connect(short.as_path()));
    if connected.is_ok() {
        bail!(
            "another supervisor serves {} already; stop that workspace first",
            path.display()
        );
    }
    Ok(())
}
