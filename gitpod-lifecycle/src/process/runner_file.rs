//! What is remembered of a runner, so that a later `up` finds it again.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    pub(crate) deleting_since: Option<Timestamp>,
    pub(crate) grace: Option<Duration>,
    pub(crate) ended: Option<Ended>,
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

    /// Remembers it in `dir`.
    pub(crate) fn store(&self, dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        replace(&dir.join(NAME), &text, Durability::UntilReboot)
    }

    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }
}

fn this_boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}
