//! Sockets whose paths are longer than an address may be.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// A path to a unix socket that is short enough for the system, as long as this lives.
///
/// The address of a socket has at most 107 bytes. A longer path is reached through an
/// open handle of its directory, in `/proc/self/fd`.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    _dir: Option<File>,
}

impl ShortPath {
    /// A short path to the socket `path`, which need not exist yet.
    ///
    /// # Errors
    ///
    /// If `path` is long, and its directory cannot be opened.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= LONGEST_SOCKET_PATH {
            return Ok(Self {
                path: path.to_owned(),
                _dir: None,
            });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = File::from(rustix::fs::open(parent, flags, Mode::empty())?);
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name),
            _dir: Some(dir),
        })
    }

    /// What to bind or to connect to.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

const LONGEST_SOCKET_PATH: usize = 107; // sun_path, less its NUL: unix(7)

/// Listens at `path`, for this user only, in place of whatever is there. It does not block.
///
/// The socket appears there when it already listens with mode 0600, so whoever sees it
/// may connect. The path may be longer than an address, see [`ShortPath`].
///
/// # Errors
///
/// If the directory is missing or may not be written to.
pub fn listen_privately(path: &Path) -> io::Result<UnixListener> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    super::private_file::remove(&fresh)?;
    let listener = UnixListener::bind(ShortPath::of(&fresh)?.as_path())?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn sockets_are_private_and_reached_at_paths_of_any_length() {
        for length in [1, 60, 120] {
            let dir = tempfile::tempdir().unwrap();
            let deep = dir.path().join("d".repeat(length));
            fs::create_dir(&deep).unwrap();
            let path = deep.join("x.sock");
            fs::write(&path, "left behind").unwrap();
            let _listener = listen_privately(&path).unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            UnixStream::connect(ShortPath::of(&path).unwrap().as_path()).unwrap();
            assert_eq!(fs::read_dir(&deep).unwrap().count(), 1);
        }
    }

    #[test]
    fn longest_address_is_used_as_it_is_and_one_byte_more_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let room = LONGEST_SOCKET_PATH - dir.path().as_os_str().len() - 1;
        let path = dir.path().join("s".repeat(room));
        assert_eq!(ShortPath::of(&path).unwrap().as_path(), path);
        let _listener = UnixListener::bind(&path).unwrap();
        let path = dir.path().join("s".repeat(room + 1));
        assert_ne!(ShortPath::of(&path).unwrap().as_path(), path);
        assert!(UnixListener::bind(&path).is_err());
    }
}
