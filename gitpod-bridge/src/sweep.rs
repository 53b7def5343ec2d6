//! Instances that stop without their manager saying so.

use std::collections::BTreeSet;

use gitpod_routing::InstanceId;
use jiff::{SignedDuration, Timestamp};

use crate::effect::{Effect, Measure, stopped_effects};
use crate::map::time::milliseconds;
use crate::metrics;
use crate::phase::{InstancePhase, StopOrigin};
use crate::plan::{Outcome, Plan};
use crate::publish::Announcement;
use crate::record::InstanceRow;
use crate::store::{InstanceStore, StoreError};

/// Marks instance `id` as stopped in `store`; see [`mark_stopped`].
///
/// For whoever started it and knows better than its manager: when a start was
/// refused, or an instance is gone for good.
///
/// # Errors
///
/// [`StoreError`] of the store.
pub async fn stop_instance(
    store: &dyn InstanceStore,
    id: &InstanceId,
    origin: StopOrigin,
    why: &str,
) -> Result<Outcome, StoreError> {
    let decide = |row: Option<&InstanceRow>, now| match row {
        Some(row) => mark_stopped(row, now, origin, why),
        None => Plan::nothing(Outcome::UnknownInstance),
    };
    let plan = store.transact(id, &decide).await?;
    for measure in &plan.measures {
        metrics::measure(*measure, "");
    }
    Ok(plan.outcome)
}

/// Marks the instance of `row` as stopped, because of `why`.
///
/// `origin` says who concludes it: a newer report of life undoes it, unless it
/// is [`StopOrigin::Observed`]. Conditions and version stay. Nothing happens if
/// the instance has stopped already.
#[must_use]
pub fn mark_stopped(
    row: &InstanceRow,
    now: Timestamp,
    origin: StopOrigin,
    why: impl Into<String>,
) -> Plan {
    if row.is_stopped() {
        return Plan::nothing(Outcome::Kept);
    }
    let mut state = row.state.clone();
    state.stopped(row.created_at, milliseconds(now));
    state.phase = InstancePhase::Stopped;
    state.stop_origin = Some(origin);
    state.message = Some(why.into());
    let mut effects = stopped_effects(row, &state);
    effects.push(Effect::Announce(Announcement::of_instance(row)));
    effects.push(Effect::StopPrebuild {
        workspace_id: row.workspace_id.clone(),
    });
    let previous = row.state.phase;
    Plan::changing(Outcome::MarkedStopped, state)
        .with_effects(effects)
        .with_measures(vec![Measure::MarkedStopped(previous)])
}

/// How long an instance may be in a phase in which its manager says nothing of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SweepTimeouts {
    /// Waiting for a cluster: 1 h.
    pub preparing: SignedDuration,
    /// Building its image: 1 h.
    pub building: SignedDuration,
    /// In no phase that can be told: 10 min.
    pub unknown: SignedDuration,
    /// Its cluster was asked, and does not know it: 1 h.
    pub pending: SignedDuration,
    /// Its runner was being created: 1 h.
    pub creating: SignedDuration,
    /// Its content was being put in place: 1 h.
    pub initializing: SignedDuration,
    /// Its runner was out of reach: 1 h since the last status.
    pub interrupted: SignedDuration,
    /// It was on its way out: 1 h since that began.
    pub stopping: SignedDuration,
}

/// An hour is longer than any of them takes, and shorter than a bill that hurts.
impl Default for SweepTimeouts {
    fn default() -> Self {
        let hour = SignedDuration::from_hours(1);
        Self {
            preparing: hour,
            building: hour,
            unknown: SignedDuration::from_mins(10),
            pending: hour,
            creating: hour,
            initializing: hour,
            interrupted: hour,
            stopping: hour,
        }
    }
}

/// Whether the manager that should run `row` is silent about it for too long.
///
/// Only for instances that are not in its list, asked for *after* the row was
/// read: one that runs should be in it at once. The three phases before a manager
/// hears of an instance are the business of [`timed_out`].
#[must_use]
pub fn missing(row: &InstanceRow, now: Timestamp, timeouts: &SweepTimeouts) -> bool {
    let state = &row.state;
    let created = row.created_at;
    let (since, limit) = match state.phase {
        InstancePhase::Running => return true,
        InstancePhase::Pending => (created, timeouts.pending),
        InstancePhase::Creating => (created, timeouts.creating),
        InstancePhase::Initializing => (created, timeouts.initializing),
        InstancePhase::Interrupted => (
            state.last_status_at.unwrap_or(created),
            timeouts.interrupted,
        ),
        InstancePhase::Stopping => (state.stopping_at.unwrap_or(created), timeouts.stopping),
        InstancePhase::Unknown
        | InstancePhase::Preparing
        | InstancePhase::Building
        | InstancePhase::Stopped => return false,
    };
    now.duration_since(since) > limit
}

/// Whether `row` waits too long for something that no manager reports.
#[must_use]
pub fn timed_out(row: &InstanceRow, now: Timestamp, timeouts: &SweepTimeouts) -> bool {
    let limit = match row.state.phase {
        InstancePhase::Preparing => timeouts.preparing,
        InstancePhase::Building => timeouts.building,
        InstancePhase::Unknown => timeouts.unknown,
        _ => return false,
    };
    now.duration_since(row.created_at) >= limit
}

/// Instances that were missing once: only those missing twice in a row are stopped.
///
/// One list may lack an instance that was made while it was asked for; two do not.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    before: BTreeSet<InstanceId>,
}

impl Missing {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of `rows` to be stopped, given the names that their manager `reported`.
    ///
    /// An empty report while more than ten instances run is not believed: then
    /// nothing is stopped, however often it comes.
    pub fn tick<'r>(
        &mut self,
        rows: &'r [InstanceRow],
        reported: &BTreeSet<InstanceId>,
        now: Timestamp,
        timeouts: &SweepTimeouts,
    ) -> Vec<&'r InstanceRow> {
        let running = |row: &&InstanceRow| row.state.phase == InstancePhase::Running;
        if reported.is_empty() && rows.iter().filter(running).count() > BELIEVABLE_LOSS {
            return Vec::new();
        }
        let silent =
            |row: &&InstanceRow| !reported.contains(&row.id) && missing(row, now, timeouts);
        let silent: Vec<_> = rows.iter().filter(silent).collect();
        let names = silent.iter().map(|row| row.id.clone()).collect();
        let before = std::mem::replace(&mut self.before, names);
        silent
            .into_iter()
            .filter(|row| before.contains(&row.id))
            .collect()
    }
}

/// A manager that loses more than so many running instances at once has more
/// likely lost its memory.
const BELIEVABLE_LOSS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, phase: InstancePhase) -> InstanceRow {
        let workspace = "pink-panda-ns35kd21".parse().unwrap();
        InstanceRow::new(id.parse().unwrap(), workspace, "c1", Timestamp::UNIX_EPOCH)
            .with_state(crate::InstanceState::new(phase))
    }

    fn names(rows: &[&InstanceRow]) -> Vec<String> {
        rows.iter().map(|row| row.id.to_string()).collect()
    }

    #[test]
    fn instance_is_stopped_when_it_is_missing_twice_in_a_row() {
        let rows = [
            row("a", InstancePhase::Running),
            row("b", InstancePhase::Running),
        ];
        let (now, limits) = (Timestamp::UNIX_EPOCH, SweepTimeouts::default());
        let reported = |names: &[&str]| names.iter().map(|id| id.parse().unwrap()).collect();
        let mut missing = Missing::new();
        assert!(
            missing
                .tick(&rows, &reported(&["a"]), now, &limits)
                .is_empty()
        );
        assert!(
            missing
                .tick(&rows, &reported(&["b"]), now, &limits)
                .is_empty()
        );
        let stopped = missing.tick(&rows, &reported(&[]), now, &limits);
        assert_eq!(names(&stopped), ["a"]);
    }

    #[test]
    fn empty_report_is_not_believed_while_many_run() {
        let rows: Vec<_> = (0..11)
            .map(|n| row(&format!("i{n}"), InstancePhase::Running))
            .collect();
        let (now, limits) = (Timestamp::UNIX_EPOCH, SweepTimeouts::default());
        let mut missing = Missing::new();
        for _ in 0..5 {
            assert!(
                missing
                    .tick(&rows, &BTreeSet::new(), now, &limits)
                    .is_empty()
            );
        }
    }

    #[test]
    fn instance_that_has_stopped_is_left_alone() {
        let mut stopped = row("a", InstancePhase::Stopped);
        stopped.state.stopped_at = Some(Timestamp::UNIX_EPOCH);
        let plan = mark_stopped(&stopped, Timestamp::now(), StopOrigin::Inferred, "silent");
        assert_eq!(plan, Plan::nothing(Outcome::Kept));
    }
}
