//! How far an instance has come.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far an instance has come.
///
/// ```text
/// Unset → Pending → Creating → Initializing → Running → Stopping → Stopped
///            └──────────┴────────────┴─────────────────────▲
/// ```
///
/// `Stopped` is final, but for a runner that its platform refused: that starts
/// over from `Pending`. **Source:** manager specification, sections 5.2 and 7.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "&'static str", try_from = "String")]
#[non_exhaustive]
pub enum Phase {
    /// Nobody has looked at it yet.
    #[default]
    Unset,
    /// Its state cannot be told.
    Unknown,
    /// Asked for; no runner works for it yet.
    Pending,
    /// Its image is being built. Never entered by this implementation.
    ImageBuild,
    /// Its runner is being created.
    Creating,
    /// Its runner is up; its content or its IDE is not.
    Initializing,
    /// It can be used.
    Running,
    /// On its way out: its runner ends, its content is put away.
    Stopping,
    /// Nothing of it runs, and its content is put away.
    Stopped,
}

impl Phase {
    /// Its name as records write it; empty for [`Unset`](Self::Unset).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "",
            Self::Unknown => "Unknown",
            Self::Pending => "Pending",
            Self::ImageBuild => "Imagebuild",
            Self::Creating => "Creating",
            Self::Initializing => "Initializing",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }

    /// All phases, in the order of an undisturbed life.
    pub const ALL: [Self; 9] = [
        Self::Unset,
        Self::Unknown,
        Self::Pending,
        Self::ImageBuild,
        Self::Creating,
        Self::Initializing,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
    ];
}

impl From<Phase> for &'static str {
    fn from(phase: Phase) -> Self {
        phase.as_str()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unset => "New",
            other => other.as_str(),
        })
    }
}

impl FromStr for Phase {
    type Err = PhaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        named.ok_or_else(|| PhaseError(text.to_owned()))
    }
}

impl TryFrom<String> for Phase {
    type Error = PhaseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The text is not the name of a phase.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a phase")]
pub struct PhaseError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for phase in Phase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        assert!("running".parse::<Phase>().is_err());
    }
}
