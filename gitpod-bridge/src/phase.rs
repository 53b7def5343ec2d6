//! How far an instance has come, as the database writes it.

use std::fmt;
use std::str::FromStr;

/// How far an instance has come, as the database writes it.
///
/// Two phases more than a manager reports: `Preparing` and `Building` come before
/// the manager has heard of the instance, and are written by whoever starts it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum InstancePhase {
    /// Its state cannot be told.
    Unknown,
    /// Asked for; no cluster chosen yet.
    Preparing,
    /// Its image is being built.
    Building,
    /// A cluster is asked to run it.
    Pending,
    /// Its runner is being created.
    Creating,
    /// Its content is being put in place.
    Initializing,
    /// It can be used.
    Running,
    /// Its runner is out of reach for the moment.
    Interrupted,
    /// On its way out.
    Stopping,
    /// Nothing of it runs.
    Stopped,
}

impl InstancePhase {
    /// All phases, in the order of a life.
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::Preparing,
        Self::Building,
        Self::Pending,
        Self::Creating,
        Self::Initializing,
        Self::Running,
        Self::Interrupted,
        Self::Stopping,
        Self::Stopped,
    ];

    /// Its name, in lowercase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Preparing => "preparing",
            Self::Building => "building",
            Self::Pending => "pending",
            Self::Creating => "creating",
            Self::Initializing => "initializing",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for InstancePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for InstancePhase {
    type Err = NoSuchWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        named.ok_or_else(|| NoSuchWord::new("phase", text))
    }
}

/// Who said that an instance has stopped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StopOrigin {
    /// Its manager reported it. Final.
    Observed,
    /// It was concluded from silence. A newer report of life undoes it.
    Inferred,
    /// Whoever starts instances wrote it. A newer report of life undoes it.
    External,
}

impl StopOrigin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Observed, Self::Inferred, Self::External];

    /// Its name, in lowercase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::External => "external",
        }
    }
}

impl FromStr for StopOrigin {
    type Err = NoSuchWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|origin| origin.as_str() == text);
        named.ok_or_else(|| NoSuchWord::new("stop origin", text))
    }
}

/// A word in a column that is none of those it may hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{word}` is not a {what}")]
pub struct NoSuchWord {
    what: &'static str,
    word: String,
}

impl NoSuchWord {
    pub(crate) fn new(what: &'static str, word: &str) -> Self {
        let word = word.to_owned();
        Self { what, word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for phase in InstancePhase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        for origin in StopOrigin::ALL {
            assert_eq!(origin.as_str().parse(), Ok(origin));
        }
        assert!("Running".parse::<InstancePhase>().is_err());
    }
}
