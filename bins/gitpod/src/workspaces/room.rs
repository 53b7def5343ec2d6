//! Room on the disk for one more run.

use super::{WorkspaceError, Workspaces};

/// Records, rows, logs and sockets of a run take some hundred KiB. With less, a start would wait
/// for somebody to make room.
const LEAST: u64 = 1 << 20;

impl Workspaces {
    /// Whether there is room for a run, as far as the system tells.
    ///
    /// # Errors
    ///
    /// [`WorkspaceError::Full`] if there is not.
    pub(super) fn has_room(&self) -> Result<(), WorkspaceError> {
        let dir = self.layout().root();
        let Ok(disk) = rustix::fs::statvfs(dir) else {
            return Ok(());
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= LEAST {
            return Ok(());
        }
        Err(WorkspaceError::Full {
            dir: dir.display().to_string(),
            kib: free / 1024,
        })
    }
}
