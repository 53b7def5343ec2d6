//! What says that a workspace is to be removed, until nothing is left of it.
//!
//! Files go one by one and rows after them. If this process is killed in between, half of a
//! workspace must not be taken for a whole one: the next process finds the note, and goes on.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use gitpod_lifecycle::process::{Layout, Reserve};
use gitpod_routing::WorkspaceId;

use crate::private_file;

/// A removal that has begun, or is about to: the file `workspaces/ID.removal`.
#[derive(Debug)]
pub(super) struct Removal {
    workspace: WorkspaceId,
    dir: PathBuf,
    reserve: Reserve,
}

/// No workspace has a name with a dot in it.
const EXTENSION: &str = "removal";

impl Removal {
    pub(super) fn of(workspace: &WorkspaceId, layout: &Layout) -> Self {
        Self {
            workspace: workspace.clone(),
            dir: layout.workspaces(),
            reserve: layout.reserve(),
        }
    }

    /// Those that have begun and are not through.
    pub(super) fn all(layout: &Layout) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(layout.workspaces()) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut begun = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "new") {
                fs::remove_file(&path)?; // a note that was not finished when that was killed
            }
            let is_note = path.extension().is_some_and(|it| it == EXTENSION);
            let named = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok());
            begun.extend(named.filter(|_| is_note).map(|id| Self::of(&id, layout)));
        }
        Ok(begun)
    }

    pub(super) fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// From now on it is to be done, whatever happens.
    pub(super) fn begin(&self) -> io::Result<()> {
        self.reserve.make_room_for(|| {
            private_file::make_dir(&self.dir)?;
            private_file::replace(&self.path(), "")
        })
    }

    /// It is not to be done any more: that the files are gone is on the disk before this
    /// is forgotten.
    pub(super) fn end(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()?;
        match fs::remove_file(self.path()) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
            _ => Ok(()),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.{EXTENSION}", self.workspace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_is_found_by_the_next_process_until_it_is_through() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let id: WorkspaceId = "pink-panda-ns35kd21".parse().unwrap();
        assert!(Removal::all(&layout).unwrap().is_empty());

        Removal::of(&id, &layout).begin().unwrap();
        fs::create_dir(layout.workspaces().join(id.as_str())).unwrap();
        let unfinished = layout.workspaces().join("grey-wolf-ns35kd21.new");
        fs::write(&unfinished, "").unwrap();
        let mut found = Removal::all(&layout).unwrap();
        assert_eq!(found.len(), 1);
        let found = found.remove(0);
        assert_eq!(*found.workspace(), id);
        assert!(!unfinished.exists());

        found.end().unwrap();
        assert!(Removal::all(&layout).unwrap().is_empty());
    }
}
