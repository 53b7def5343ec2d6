//! Files that only this user may read, replaced as a whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

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

/// Removes from `dir` what [`replace`] leaves when the process is killed in it, and `dir`
/// itself if nothing else is there. To be called while nobody writes there.
pub(crate) fn remove_unfinished(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "new") && !path.is_dir() {
            remove(&path)?;
        }
    }
    match fs::remove_dir(dir) {
        Err(why) if why.kind() != io::ErrorKind::DirectoryNotEmpty => Err(why),
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
        replace(&path, b"old", Durability::OnDisk).unwrap();
        fs::create_dir(dir.path().join("record.new")).unwrap(); // in the way
        assert!(replace(&path, b"new", Durability::OnDisk).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
