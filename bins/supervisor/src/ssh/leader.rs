use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{ioctl_tiocsctty, setsid};

/// The word by which this program is told to become the first process of a session: `--lead terminal|none NAME PROGRAM ARGUMENT…`.
pub(crate) const LEAD: &str = "--lead";
const TERMINAL: &str = "terminal";
const NO_TERMINAL: &str = "none";

/// Whether what is run has a terminal, which then is its standard input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Controlling {
    Terminal,
    Nothing,
}

/// Makes a command that runs `program`, under the name `name`, in a session of its own.
///
/// A step of its own, in a program that is started for it: between fork and exec nothing can be done without unsafe code. It is
/// this program again, found by its file even if that has been replaced since.
pub(super) fn command(controlling: Controlling, name: &str, program: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(own_words())
        .arg(LEAD)
        .arg(match controlling {
            Controlling::Terminal => TERMINAL,
            Controlling::Nothing => NO_TERMINAL,
        })
        .args([name, program]);
    command
}

/// What this process was started with before its options: the name of a subcommand, if it is one.
pub(super) fn own_words() -> impl Iterator<Item = OsString> {
    std::env::args_os()
        .skip(1)
        .take_while(|word| !word.as_encoded_bytes().starts_with(b"-"))
}

/// Becomes what the words after [`LEAD`] say. Returns if it cannot, as a shell would.
pub(crate) fn lead(words: &[OsString]) -> ExitCode {
    let [controlling, name, program, arguments @ ..] = words else {
        eprintln!("error: {LEAD} is for the supervisor's own use");
        return ExitCode::from(2);
    };
    let controlling = match controlling == TERMINAL {
        true => Controlling::Terminal,
        false => Controlling::Nothing,
    };
    if let Err(why) = begin_session(controlling) {
        eprintln!("{}: no session can be begun: {why}", name.display());
        return ExitCode::FAILURE;
    }
    let why = Command::new(program).arg0(name).args(arguments).exec();
    eprintln!("{}: cannot be run: {why}", program.display());
    match why.kind() {
        io::ErrorKind::NotFound => ExitCode::from(127),
        _ => ExitCode::from(126),
    }
}

/// Puts this process into a session of its own.
pub(super) fn begin_session(controlling: Controlling) -> io::Result<()> {
    setsid()?;
    if controlling == Controlling::Terminal {
        ioctl_tiocsctty(io::stdin())?;
    }
    Ok(())
}
