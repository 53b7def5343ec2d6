use std::collections::HashMap;
use std::fmt;
use std::io;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};

/// Starts processes and collects what is left of them — also of orphans, which the kernel hands to this process.
///
/// All waiting happens here: elsewhere a wait could take the exit code that somebody else needs.
#[derive(Debug, Default)]
pub(crate) struct Children {
    waiting: Mutex<HashMap<Pid, oneshot::Sender<Exit>>>,
    started: Notify,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    pub(crate) exit: oneshot::Receiver<Exit>,
}

impl Children {
    /// Starts a process.
    ///
    /// The lock is held meanwhile: a process that ends at once must not be collected before it is known here, and one that
    /// could not be executed is collected by the standard library.
    pub(crate) fn start(&self, command: &mut Command) -> io::Result<Child> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        let (ended, exit) = oneshot::channel();
        waiting.insert(Pid::from_child(&child), ended);
        drop(waiting);
        self.started.notify_one();
        Ok(Child {
            pid: child.id(),
            exit,
        })
    }

    /// Waits until a process has been started since the last call.
    pub(crate) async fn started(&self) {
        self.started.notified().await;
    }

    /// Collects everything that has ended.
    pub(crate) fn reap(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let Some(exit) = Exit::of(status) else {
                continue;
            };
            match waiting.remove(&pid) {
                Some(ended) => drop(ended.send(exit)),
                None => tracing::debug!(pid = pid.as_raw_nonzero(), %exit, "an orphan ended"),
            }
        }
    }

    /// Collects whatever ends, for ever.
    pub(crate) async fn reap_all(&self) -> io::Result<()> {
        let mut ended = signal(SignalKind::child())?;
        loop {
            self.reap();
            ended.recv().await;
        }
    }
}

impl Exit {
    fn of(status: WaitStatus) -> Option<Self> {
        status
            .exit_status()
            .map(Self::Code)
            .or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
