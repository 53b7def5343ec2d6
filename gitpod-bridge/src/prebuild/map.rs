//! Phase and conditions → state of the prebuild.

use gitpod_lifecycle::{UpdateBool, UpdateConditions, UpdatePhase};

use super::{PrebuildEvent, PrebuildState};
use crate::map::condition::stated;

/// In which phase the conditions of an instance decide what became of its prebuild.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecidedWhen {
    /// As soon as it stops. The reference system's default.
    #[default]
    Stopping,
    /// Once it has stopped, and its content is put away.
    Stopped,
}

/// What a status says of a prebuild.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PrebuildUpdate {
    /// What is told.
    pub event: PrebuildEvent,
    /// How far it has come.
    pub state: PrebuildState,
    /// Where its content is, if that is said; an empty text takes it back.
    pub snapshot: Option<String>,
    /// Why it has failed, if that is said; an empty text takes it back.
    pub error: Option<String>,
}

impl PrebuildUpdate {
    fn new(event: PrebuildEvent, state: PrebuildState) -> Self {
        Self {
            event,
            state,
            snapshot: None,
            error: None,
        }
    }

    fn with_error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    fn with_snapshot(mut self, snapshot: &str) -> Self {
        self.snapshot = Some(snapshot.to_owned());
        self
    }
}

/// What an instance in `phase` says of the prebuild that it builds; `None` if nothing.
#[must_use]
pub fn map_prebuild(
    decided: DecidedWhen,
    phase: UpdatePhase,
    conditions: &UpdateConditions,
) -> Option<PrebuildUpdate> {
    let started = |state| Some(PrebuildUpdate::new(PrebuildEvent::Started, state));
    match (decided, phase) {
        (DecidedWhen::Stopping, UpdatePhase::Stopped) => None,
        (DecidedWhen::Stopping, UpdatePhase::Stopping)
        | (DecidedWhen::Stopped, UpdatePhase::Stopped) => ended(conditions),
        (DecidedWhen::Stopped, UpdatePhase::Stopping) | (_, UpdatePhase::Running) => {
            started(PrebuildState::Building)
        }
        _ => started(PrebuildState::Queued),
    }
}

/// How it ended. The first condition of these that holds decides.
fn ended(conditions: &UpdateConditions) -> Option<PrebuildUpdate> {
    use PrebuildEvent as Event;
    use PrebuildState as State;
    if let Some(text) = stated(&conditions.timeout) {
        return Some(PrebuildUpdate::new(Event::AbortedTimeout, State::Timeout).with_error(text));
    }
    if let Some(text) = stated(&conditions.failed) {
        return Some(PrebuildUpdate::new(Event::Failed, State::Failed).with_error(text));
    }
    if conditions.stopped_by_request == UpdateBool::True {
        return Some(PrebuildUpdate::new(Event::Aborted, State::Aborted).with_error("Cancelled"));
    }
    let snapshot = conditions.snapshot.as_str();
    if let Some(text) = stated(&conditions.headless_task_failed) {
        let finished = PrebuildUpdate::new(Event::FinishFail, State::Available);
        return Some(finished.with_snapshot(snapshot).with_error(text));
    }
    let finished = PrebuildUpdate::new(Event::FinishSuccess, State::Available);
    let finished = finished.with_snapshot(snapshot).with_error("");
    (!snapshot.is_empty()).then_some(finished)
}
