//! What is to be done with one row: the answer of every decision here.

use crate::effect::{Effect, Measure};
use crate::record::InstanceState;

/// What is to be done with one row, and what to announce with it.
///
/// All of it happens in one transaction, or none of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What became of the status.
    pub outcome: Outcome,
    /// The columns to write; `None` leaves the row as it is.
    pub change: Option<Box<InstanceState>>,
    /// What else belongs to the same transaction, in this order.
    pub effects: Vec<Effect>,
    /// What to count once it is committed.
    pub measures: Vec<Measure>,
}

impl Plan {
    /// Nothing, because of `outcome`.
    #[must_use]
    pub fn nothing(outcome: Outcome) -> Self {
        Self {
            outcome,
            change: None,
            effects: Vec::new(),
            measures: Vec::new(),
        }
    }

    /// Writes `state`.
    #[must_use]
    pub fn changing(outcome: Outcome, state: InstanceState) -> Self {
        Self {
            change: Some(Box::new(state)),
            ..Self::nothing(outcome)
        }
    }

    /// Whether it may append to the outbox.
    #[must_use]
    pub fn announces(&self) -> bool {
        let told = |effect: &Effect| matches!(effect, Effect::Announce(_) | Effect::Once(_));
        self.effects.iter().any(told)
    }

    /// With `effects`.
    #[must_use]
    pub fn with_effects(mut self, effects: Vec<Effect>) -> Self {
        self.effects = effects;
        self
    }

    /// With `measures`.
    #[must_use]
    pub fn with_measures(mut self, measures: Vec<Measure>) -> Self {
        self.measures = measures;
        self
    }
}

/// What became of one status.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was taken.
    Applied,
    /// It says what the row knows already; its version was noted.
    Bumped,
    /// The row has taken a newer one.
    Stale,
    /// The row has taken this one.
    Duplicate,
    /// The instance was seen to stop, and this says that it lives.
    Terminal,
    /// The instance belongs to another cluster.
    Foreign,
    /// It makes no sense.
    Invalid,
    /// No row of that name exists.
    UnknownInstance,
    /// The instance was marked as stopped, without a status.
    MarkedStopped,
    /// Nothing was to be done.
    Kept,
}

impl Outcome {
    /// Its name, in lowercase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Bumped => "bumped",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Terminal => "terminal",
            Self::Foreign => "foreign",
            Self::Invalid => "invalid",
            Self::UnknownInstance => "unknown_instance",
            Self::MarkedStopped => "stopped",
            Self::Kept => "kept",
        }
    }
}
