//! Phases and the times that go with them.

use gitpod_lifecycle::UpdatePhase;
use jiff::Timestamp;

use crate::phase::{InstancePhase, StopOrigin};
use crate::record::InstanceState;

/// The phase that a report of `said` brings; `None` leaves it as it was.
pub(crate) fn reported(said: UpdatePhase) -> Option<InstancePhase> {
    match said {
        UpdatePhase::Pending => Some(InstancePhase::Pending),
        UpdatePhase::Creating => Some(InstancePhase::Creating),
        UpdatePhase::Initializing => Some(InstancePhase::Initializing),
        UpdatePhase::Running => Some(InstancePhase::Running),
        UpdatePhase::Interrupted => Some(InstancePhase::Interrupted),
        UpdatePhase::Stopping => Some(InstancePhase::Stopping),
        UpdatePhase::Stopped => Some(InstancePhase::Stopped),
        _ => None,
    }
}

/// Enters `phase`.
///
/// A phase of life clears the times of a stop; they are set once otherwise.
pub(crate) fn enter(
    state: &mut InstanceState,
    phase: InstancePhase,
    created: Timestamp,
    now: Timestamp,
) {
    match phase {
        InstancePhase::Stopped => {
            state.stopped(created, now);
            state.stop_origin = Some(StopOrigin::Observed);
        }
        InstancePhase::Stopping => {
            if state.phase == InstancePhase::Stopped {
                state.alive();
            }
            state.stopping(created, now);
        }
        _ => state.alive(),
    }
    if phase == InstancePhase::Running {
        state.started(created, now);
    }
    state.phase = phase;
}
