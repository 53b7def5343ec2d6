//! Instances that stop without their manager saying so.

use gitpod_routing::InstanceId;
use jiff::Timestamp;

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
    let previous = row.state.phase;
    Plan::changing(Outcome::MarkedStopped, state)
        .with_effects(effects)
        .with_measures(vec![Measure::MarkedStopped(previous)])
}
