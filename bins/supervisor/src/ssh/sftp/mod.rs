//! File transfers: version 3 of SFTP with OpenSSH's extensions, on standard input and output of a process of its own.
//!
//! A process, because then it has the workspace's limits and its memory, waits for disks without holding up anybody, and ends as
//! every other program of a session does.
//!
//! Names of files that are not UTF-8 are shown with replacement characters, and cannot be opened.

mod attributes;
mod entries;
mod extended;
mod files;
mod path;
mod reply;
mod serve;

use std::process::{Command, ExitCode};

use super::leader;

/// The word by which this program is told to serve files.
pub(crate) const SFTP: &str = "--sftp";

/// Makes a command that serves files.
pub(super) fn command() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(leader::own_words()).arg(SFTP);
    command
}

/// Serves files until standard input ends.
pub(crate) fn serve() -> ExitCode {
    let served = leader::begin_session(leader::Controlling::Nothing).and_then(|()| serve::serve());
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sftp: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The longest packet, and most bytes that are read or written at once: what OpenSSH takes.
const LONGEST_PACKET: u32 = 256 * 1024;
const MOST_BYTES: u32 = LONGEST_PACKET - 1024;
/// Files and directories that one client may have open.
const MOST_HANDLES: usize = 256;
