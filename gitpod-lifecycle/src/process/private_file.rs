//! Files that only this user may read, replaced as a whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Whether a file must survive a power failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// It must: it is on the disk when this returns.
    OnDisk,
    /// It need not: what it describes does not survive either.
    UntilReboot,
}

/// Replaces `path` by a file of mode 0600 with `bytes` in it.
///
/// Whatever goes wrong, and whenever the process ends: there is the old file or
/// the new one, whole.
pub(crate) fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let written = write_new(&fresh, bytes, durability).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh); // makes room, if that is what was missing
        return written;
    }
    match (durability, path.parent()) {
        (Durability::OnDisk, Some(dir)) => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    match durability {
        Durability::OnDisk => file.sync_all(),
        Durability::UntilReboot => Ok(()),
    }
}

/// Makes `dir` and what is above it, of mode 0700 where it is new.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Whether the disk, or the user's share of it, is full.
pub(crate) fn is_full(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Removes a file. That it is gone already is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn file_is_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        for text in ["first", "second"] {
            replace(&path, text.as_bytes(), Durability::OnDisk).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn old_file_is_intact_when_the_new_one_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        replace(&path, b"old", Durability::OnDisk).unwrap();
        fs::create_dir(dir.path().join("record.new")).unwrap(); // in the way
        assert!(replace(&path, b"new", Durability::OnDisk).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
