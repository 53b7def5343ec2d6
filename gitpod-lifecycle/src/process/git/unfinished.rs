//! What is left of content that was not put in place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use tracing::warn;

/// A directory that is being filled, removed when dropped.
#[derive(Debug)]
pub(super) struct Unfinished(Option<PathBuf>);

impl Unfinished {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self(Some(dir))
    }

    /// It is in place, under another name.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(dir) = self.0.take() else { return };
        // Out of the way first: the next content may be put in place at once.
        let doomed = dir.with_extension(format!("{:016x}", rand::random::<u64>()));
        if let Err(why) = fs::rename(&dir, &doomed) {
            return warn!(dir = %dir.display(), %why, "what is left of content cannot be removed");
        }
        spawn_blocking(move || {
            // A git that was just killed may have written once more.
            let removed = fs::remove_dir_all(&doomed).or_else(|_| fs::remove_dir_all(&doomed));
            if let Err(why) = removed {
                warn!(dir = %doomed.display(), %why, "what is left of content cannot be removed");
            }
        });
    }
}

/// What is left below `workspaces`: of which workspace, and where.
pub(super) fn find(workspaces: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut left = Vec::new();
    for workspace in dirs(workspaces)? {
        for dir in dirs(&workspace)? {
            let is_content = dir.file_stem().is_some_and(|stem| stem == "content");
            if is_content && dir.extension().is_some() {
                left.push((workspace.clone(), dir));
            }
        }
    }
    Ok(left)
}

/// Directories in `dir`, which need not be there.
fn dirs(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut dirs = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            dirs.push(entry.path());
        }
    }
    Ok(dirs)
}
