//! Files that must be this user's alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::exit::Failure;

/// More than any of these files needs.
const MOST_BYTES: u64 = 1 << 20;

/// Reads `path`, or `None` if it is not there.
///
/// Refused is what others could have written or could read: then it is no secret, and
/// nobody knows whose it is.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let cannot = |why: io::Error| {
        Failure::failed(format!("cannot read {}", path.display()))
            .because(&why)
            .fix("make it a readable file of your own, or remove it")
    };
    let file = match open_at_once(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(cannot(why)),
    };
    let about = file.metadata().map_err(cannot)?;
    refuse_unless_private(path, &about)?;
    let mut text = String::new();
    file.take(MOST_BYTES)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    Ok(Some(text))
}

/// Opens a file for reading where programs of a workspace may have put anything: a pipe
/// that nobody writes to, a device without an end, a link to what is not theirs.
///
/// Only an ordinary file of this user is opened, and nothing is waited for. How much is
/// in it is for the caller to limit.
pub(crate) fn open_own(path: &Path) -> io::Result<File> {
    let file = open_ordinary(path)?;
    match file.metadata()?.uid() == rustix::process::geteuid().as_raw() {
        true => Ok(file),
        false => Err(io::Error::other("it belongs to another user")),
    }
}

/// [`open_own`], whoever the file belongs to.
pub(crate) fn open_ordinary(path: &Path) -> io::Result<File> {
    let file = open_at_once(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// What a link leads to is not ours, and nobody may be at the other end of a pipe.
fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

fn refuse_unless_private(path: &Path, about: &fs::Metadata) -> Result<(), Failure> {
    let shown = path.display();
    let refuse = |why: String, fix: String| {
        Err(Failure::failed(format!("cannot use {shown}"))
            .why(why)
            .fix(fix))
    };
    let mode = about.permissions().mode() & 0o777;
    if !about.is_file() || about.len() > MOST_BYTES {
        return refuse(
            "it is no ordinary file of sane size".to_owned(),
            format!("remove {shown}"),
        );
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return refuse(
            "it belongs to another user".to_owned(),
            format!("chown it, or remove {shown}"),
        );
    }
    if mode & 0o077 != 0 {
        return refuse(
            format!("others may open it (mode {mode:04o}), so it may be known or changed"),
            format!("chmod 600 {shown}, or remove it if you cannot be sure that nobody did"),
        );
    }
    Ok(())
}

/// Replaces `path` by a file of mode 0600 with `text` in it: whole or not at all.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let written = write_new(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh); // makes room, if that is what was missing
        return written;
    }
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes the directory `path`, for this user only.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o700))
}

/// Makes a named pipe that nobody writes to.
#[cfg(test)]
pub(crate) fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_file_is_read_and_others_are_refused_with_a_fix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(read(&path).unwrap().is_none());
        replace(&path, "secret").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("secret"));

        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let text = read(&path).unwrap_err().to_string();
        assert!(
            text.contains("mode 0640") && text.contains("fix: chmod 600"),
            "{text}"
        );

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read(&link).unwrap_err().to_string().contains("fix:"));
        assert!(read(dir.path()).unwrap_err().to_string().contains("fix:"));
    }

    #[test]
    fn what_is_no_ordinary_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text").unwrap();
        let text = io::read_to_string(open_own(&at("file")).unwrap()).unwrap();
        assert_eq!(text, "text");
        make_pipe(&at("pipe"));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        for name in ["pipe", "socket", "device", "link", "."] {
            assert!(open_own(&at(name)).is_err(), "{name}");
        }
        for name in ["pipe", "device", "link"] {
            assert!(read(&at(name)).is_err(), "{name}");
        }
    }
}
