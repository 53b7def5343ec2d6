use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::modes::{Mode, apply};

/// A terminal that a client has asked for.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Its kind, for the variable `TERM`.
    pub(super) term: String,
    /// The client's end.
    pub(super) near: OwnedFd,
    /// The program's end.
    pub(super) far: OwnedFd,
    /// Where the program finds it.
    pub(super) path: PathBuf,
}

/// Its size, in characters and in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Terminal {
    pub(super) fn open(term: &str, size: Size, modes: &[Mode]) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags)?;
        unlockpt(&near)?;
        let far = ioctl_tiocgptpeer(&near, flags)?;
        fcntl_setfl(&near, fcntl_getfl(&near)? | OFlags::NONBLOCK)?;
        let mut settings = tcgetattr(&far)?;
        apply(&mut settings, modes);
        tcsetattr(&far, OptionalActions::Now, &settings)?;
        size.set(&near)?;
        let path = ptsname(&near, Vec::new())?;
        Ok(Self {
            term: term.to_owned(),
            near,
            far,
            path: PathBuf::from(path.to_string_lossy().into_owned()),
        })
    }
}

impl Size {
    /// Changes the size of the terminal that `near` is an end of; its programs are told.
    pub(super) fn set(self, near: &OwnedFd) -> io::Result<()> {
        let clamped = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: clamped(self.rows),
            ws_col: clamped(self.columns),
            ws_xpixel: clamped(self.width),
            ws_ypixel: clamped(self.height),
        };
        Ok(tcsetwinsize(near, size)?)
    }
}
