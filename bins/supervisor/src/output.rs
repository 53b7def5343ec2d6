use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};
use tokio::net::unix::pipe::Receiver;

/// Where a process writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A terminal, if the system has one: many programs only then print line by line. It is nobody's controlling terminal, does
    /// not echo, and changes nothing of what is written to it.
    Terminal,
    Pipe,
}

impl Output {
    /// Directs what `command` writes to a new reading end, which ends when the last process is gone that could write.
    ///
    /// The caller must drop the writing ends in `command` after the start.
    pub(crate) fn attach(self, command: &mut Command) -> Result<Receiver> {
        let (reader, writer) = match self {
            Self::Terminal => terminal().or_else(|error| {
                tracing::debug!(%error, "no terminal for a task, a pipe has to do");
                pipe()
            }),
            Self::Pipe => pipe(),
        }
        .context("no pipe for the output; close some files")?;
        let second = writer
            .try_clone()
            .context("no pipe for the output; close some files")?;
        command.stdin(Stdio::null()).stdout(writer).stderr(second);
        Ok(Receiver::from_owned_fd_unchecked(reader)?)
    }
}

fn pipe() -> std::io::Result<(OwnedFd, File)> {
    let (reader, writer) = std::io::pipe()?;
    let reader = nonblocking(reader.into())?;
    Ok((reader, File::from(OwnedFd::from(writer))))
}

fn terminal() -> std::io::Result<(OwnedFd, File)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let reader = openpt(flags)?;
    unlockpt(&reader)?;
    let writer = ioctl_tiocgptpeer(&reader, flags)?;
    let mut modes = tcgetattr(&writer)?;
    modes.output_modes.remove(OutputModes::OPOST);
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&writer, OptionalActions::Now, &modes)?;
    tcsetwinsize(
        &writer,
        Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    Ok((nonblocking(reader)?, File::from(writer)))
}

fn nonblocking(file: OwnedFd) -> std::io::Result<OwnedFd> {
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::NONBLOCK)?;
    Ok(file)
}
