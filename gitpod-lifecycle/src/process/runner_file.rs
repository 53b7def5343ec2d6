//! What is remembered of a runner, so that a later `up` finds it again.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::limits::Enforcement;
use super::network::Network;
use super::private_file::{self, Durability, replace};
use super::tree::ProcessId;

/// `runner.json`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct RunnerFile {
    pub(crate) name: String,
    /// Its supervisor, once that was started.
    pub(crate) process: Option<ProcessId>,
    /// Which run of the system that was.
    pub(crate) boot: String,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) limits: Enforcement,
    pub(crate) network: Network,
    /// How far the supervisor has come.
    pub(crate) progress: Progress,
    pub(crate) deleting_since: Option<Timestamp>,
    pub(crate) grace: Option<Duration>,
    pub(crate) ended: Option<Ended>,
}

/// How far a supervisor has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Progress {
    /// It may still wait for its network.
    #[default]
    Spawned,
    /// It was let in to its network, or needs none of its own.
    LetIn,
    /// It was ready: what it does from now on is used.
    Ready,
}

/// How it ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) message: String,
}

impl Ended {
    pub(crate) fn well() -> Self {
        Self::default()
    }

    pub(crate) fn badly(exit_code: i32, message: impl Into<String>) -> Self {
        Self {
            exit_code,
            message: message.into(),
        }
    }
}

const NAME: &str = "runner.json";

impl RunnerFile {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            boot: this_boot(),
            ..Self::default()
        }
    }

    /// What is remembered in `dir`. Nothing, if that cannot be read: then there is
    /// no runner, which is what its manager will find.
    pub(crate) fn load(dir: &Path) -> Option<Self> {
        let text = private_file::read(&dir.join(NAME)).ok()?;
        let mut file: Self = serde_json::from_slice(&text).ok()?;
        if file.boot != this_boot() && file.ended.is_none() && file.process.take().is_some() {
            file.ended = Some(Ended::badly(137, "the machine was restarted"));
        }
        Some(file)
    }

    /// Lets go of a supervisor whose start was interrupted, because who started it was
    /// killed: it waits for a network that nobody connects any more, or has ended for want of it.
    /// The start is then done again. Who has been ready is never started again.
    pub(crate) fn give_up_interrupted_start(&mut self) {
        let ended = || self.process.is_some_and(|process| !process.is_alive());
        let interrupted = match self.progress {
            Progress::Spawned => self.network == Network::Own || ended(),
            Progress::LetIn => ended(),
            Progress::Ready => false,
        };
        if interrupted && self.ended.is_none() {
            self.process = None;
        }
    }

    /// Remembers it in `dir`.
    pub(crate) fn store(&self, dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        replace(&Disk, &dir.join(NAME), &text, Durability::UntilReboot)
    }

    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }
}

fn this_boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_is_given_up_only_if_nobody_can_have_used_what_it_started() {
        let alive = ProcessId::of(std::process::id()).unwrap();
        let gone = ProcessId {
            pid: alive.pid,
            started: alive.started + 1,
        };
        for (progress, network, process, given_up) in [
            (Progress::Spawned, Network::Own, alive, true), // nobody connects its network
            (Progress::Spawned, Network::Own, gone, true),
            (Progress::Spawned, Network::Shared, alive, false), // waits for nobody
            (Progress::Spawned, Network::Shared, gone, true),
            (Progress::LetIn, Network::Own, alive, false),
            (Progress::LetIn, Network::Own, gone, true),
            (Progress::Ready, Network::Own, alive, false),
            (Progress::Ready, Network::Own, gone, false), // its end is told
        ] {
            let mut file = RunnerFile::new("ws");
            (file.progress, file.network, file.process) = (progress, network, Some(process));
            let ended = RunnerFile {
                ended: Some(Ended::well()),
                ..file.clone()
            };
            file.give_up_interrupted_start();
            let given = (progress, network, process == alive);
            assert_eq!(file.process.is_none(), given_up, "{given:?}");
            let mut known = ended.clone();
            known.give_up_interrupted_start();
            assert_eq!(known, ended);
        }
    }
}
