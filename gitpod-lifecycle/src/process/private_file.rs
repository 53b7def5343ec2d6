//! Files that only this user may read, replaced as a whole or not at all.
//!
//! What must survive a power failure is written in this order, and told to nobody before the
//! last step: the bytes to a new file; that file synchronised; the new name in the place of
//! the old one; the directory synchronised. A directory that is made for it is synchronised
//! where it is listed, in its parent, before anything in it counts.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::disk::Files;

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
pub(crate) fn replace(
    files: &dyn Files,
    path: &Path,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    let fresh = path.with_extension(UNFINISHED);
    let written =
        write_new(files, &fresh, bytes, durability).and_then(|()| files.rename(&fresh, path));
    if written.is_err() {
        let _ = files.remove_file(&fresh); // makes room, if that is what was missing
        return written;
    }
    match (durability, path.parent()) {
        (Durability::OnDisk, Some(dir)) => files.sync_dir(dir),
        _ => Ok(()),
    }
}

/// What a file is called until it has its name.
const UNFINISHED: &str = "new";

fn write_new(
    files: &dyn Files,
    path: &Path,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    gone(files.remove_file(path))?;
    files.write_new(path, bytes)?;
    match durability {
        Durability::OnDisk => files.sync_file(path),
        Durability::UntilReboot => Ok(()),
    }
}

/// Makes `dir` and what is above it; all of it survives a power failure.
///
/// That `dir` is there already says nothing of who made it, and whether that was
/// synchronised.
pub(crate) fn make_dir_on_disk(files: &dyn Files, dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent() else {
        return Ok(());
    };
    if !files.exists(dir) {
        make_dir_on_disk(files, parent)?;
        match files.make_dir(dir) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
            _ => {}
        }
    }
    files.sync_dir(parent)
}

/// Removes `path` for good, and its directory if nothing else is there.
pub(crate) fn remove_on_disk(files: &dyn Files, path: &Path) -> io::Result<()> {
    gone(files.remove_file(path))?;
    let Some(dir) = path.parent() else {
        return Ok(());
    };
    // What else is there belongs to others; the last one removes the directory.
    match (files.remove_dir(dir), dir.parent()) {
        (Err(_), _) if files.exists(dir) => files.sync_dir(dir),
        (_, Some(above)) => files.sync_dir(above),
        (_, None) => Ok(()),
    }
}

/// Removes from `dir` what [`replace`] leaves when the process is killed in it, and `dir`
/// itself if nothing else is there. To be called while nobody writes there.
pub(crate) fn remove_unfinished(files: &dyn Files, dir: &Path) -> io::Result<()> {
    let entries = match files.list(dir) {
        Err(why) if why.kind() == io::ErrorKind::NotADirectory => return Ok(()),
        entries => entries?,
    };
    let is_unfinished = |path: &&Path| path.extension().is_some_and(|it| it == UNFINISHED);
    for path in entries.iter().map(AsRef::as_ref).filter(is_unfinished) {
        match gone(files.remove_file(path)) {
            // No file of ours; writing the next record says what is wrong with it.
            Err(why) if why.kind() == io::ErrorKind::IsADirectory => {}
            removed => removed?,
        }
    }
    let _ = files.remove_dir(dir); // not if anything else is there
    Ok(())
}

/// That it is gone already is fine.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// Reads `path`, where programs of this user may have put anything.
///
/// Only an ordinary file of sane size is read: opening a FIFO would wait for its other
/// end, and a device may never end.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    refuse_unless_ordinary(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY; // it may be another one by now
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    refuse_unless_ordinary(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

/// Whatever is asked of a manager has at most 4 MiB, and is kept with some words around it.
const MOST_BYTES: u64 = 16 << 20;

fn refuse_unless_ordinary(file: &fs::Metadata) -> io::Result<()> {
    match file.is_file() {
        false => Err(io::Error::other("it is not an ordinary file")),
        true if file.len() > MOST_BYTES => Err(too_large()),
        true => Ok(()),
    }
}

fn too_large() -> io::Error {
    io::Error::other(format!("it is larger than {} MiB", MOST_BYTES >> 20))
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
    gone(fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::process::disk::Disk;

    #[test]
    fn file_is_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        for text in ["first", "second"] {
            replace(&Disk, &path, text.as_bytes(), Durability::OnDisk).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_ordinary_files_of_sane_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text").unwrap();
        assert_eq!(read(&at("file")).unwrap(), b"text");
        assert_eq!(
            read(&at("missing")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let mkfifo = std::process::Command::new("mkfifo")
            .arg(at("fifo"))
            .status();
        assert!(mkfifo.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        std::os::unix::fs::symlink("fifo", at("link")).unwrap();
        for name in ["fifo", "socket", "dir", "device", "link"] {
            let why = read(&at(name)).unwrap_err().to_string();
            assert_eq!(why, "it is not an ordinary file", "{name}");
        }
        let large = File::create(at("large")).unwrap();
        large.set_len(100 << 20).unwrap();
        let why = read(&at("large")).unwrap_err().to_string();
        assert_eq!(why, "it is larger than 16 MiB");
    }

    #[test]
    fn old_file_is_intact_when_the_new_one_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        replace(&Disk, &path, b"old", Durability::OnDisk).unwrap();
        fs::create_dir(dir.path().join("record.new")).unwrap(); // in the way
        assert!(replace(&Disk, &path, b"new", Durability::OnDisk).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
