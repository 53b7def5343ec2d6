//! The few operations on files that records are kept with.
//!
//! What a disk keeps when the power fails is less than what programs see: the bytes of a
//! file since it was synchronised, and the names in a directory since that was. Everything
//! that has to survive goes through here, so that a test can take the power away between any
//! two operations.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::private_file;

/// What records ask of a file system. Each call is one operation.
pub(crate) trait Files: Debug + Send + Sync + 'static {
    /// Makes a directory of mode 0700 in one that is there.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file of mode 0600 where there is none.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// What is in the file from now on survives a power failure.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Which names are in the directory from now on survives a power failure.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Gives a file another name, in the place of what had that.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with nothing in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// All bytes of an ordinary file of sane size.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What is in a directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether anything is there.
    fn exists(&self, path: &Path) -> bool;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk;

impl Files for Disk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(dir)
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(path)?.write_all(bytes)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        private_file::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }
}
