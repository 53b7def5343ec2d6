//! Handles of processes, which stay with the process whatever becomes of its number.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::tree::ProcessId;

/// A handle of one process.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// A handle of `process`; `None` if it is gone.
    pub(crate) fn of(process: ProcessId) -> Option<Self> {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw)?;
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // Whoever has the number now is who the handle belongs to.
        (ProcessId::of(process.pid) == Some(process)).then_some(Self(handle))
    }

    /// Sends `signal`. That the process is gone is fine.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Waits until the process has ended, and tells how, if it was started by
    /// this one.
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe, for types whose descriptor may change; that of OwnedFd does not"
    )]
    pub(crate) async fn ended(self) -> io::Result<Option<Exit>> {
        let handle = AsyncFd::with_interest(self.0, Interest::READABLE)?;
        drop(handle.readable().await?);
        let how = waitid(
            WaitId::PidFd(handle.get_ref().as_fd()),
            WaitIdOptions::EXITED,
        );
        Ok(how.ok().flatten().and_then(|status| {
            let code = status.exit_status().map(Exit::Code);
            code.or_else(|| status.terminating_signal().map(Exit::Signal))
        }))
    }
}

/// Sends `signal` to `process`. That it is gone is fine.
pub(crate) fn signal(process: ProcessId, signal: Signal) -> io::Result<()> {
    Handle::of(process).map_or(Ok(()), |handle| handle.signal(signal))
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    /// As shells count it: 128 + n for signal n.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}
