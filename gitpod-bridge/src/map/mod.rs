//! Status → row: what one status changes, decided without touching anything.

pub(crate) mod condition;
mod digest;
mod metrics;
mod order;
mod phase;
mod port;
pub(crate) mod time;

use gitpod_lifecycle::{StatusUpdate, UpdateKind, UpdatePhase};
use gitpod_routing::InstanceId;
use jiff::Timestamp;

pub use self::digest::digest;
pub use self::metrics::{ImageMetrics, InitializerDuration, InstanceMetrics, merge_metrics};
pub use self::order::{Freshness, Origin, StatusOrder};

use self::condition::{conditions, stated};
use self::time::milliseconds;
use crate::effect::{Effect, Measure, running_effects, stopped_effects};
use crate::phase::{InstancePhase, StopOrigin};
use crate::plan::{Outcome, Plan};
use crate::publish::Announcement;
use crate::record::{InstanceRow, InstanceState};

/// What `status` changes in `row`, and what is to be announced.
///
/// `now` is the clock of the database that holds the row, so that replicas whose
/// clocks differ still write times that agree. Calling it again with the row
/// that it gave changes nothing more: the answer is then `Duplicate`.
///
/// | outcome | when | change |
/// |---|---|---|
/// | `Invalid` | no usable id, unknown kind, or a version above 2⁶³ | none |
/// | `UnknownInstance` | there is no row; clusters may serve several installations | none |
/// | `Foreign` | another cluster runs the instance | none |
/// | `Stale`, `Duplicate` | the row has taken a newer status, or this one | none |
/// | `Bumped` | newer, and says the same | version only |
/// | `Terminal` | newer, but the instance was seen to stop | none |
/// | `Applied` | otherwise | what the status says |
#[must_use]
pub fn plan(
    row: Option<&InstanceRow>,
    status: &StatusUpdate,
    now: Timestamp,
    origin: &Origin,
) -> Plan {
    let Some(version) = usable_version(status) else {
        return Plan::nothing(Outcome::Invalid);
    };
    let Some(row) = row else {
        return Plan::nothing(Outcome::UnknownInstance);
    };
    if row.region != origin.cluster {
        return Plan::nothing(Outcome::Foreign);
    }
    let stored = StatusOrder::new(row.state.source_epoch, row.state.status_version);
    let incoming = StatusOrder::new(origin.epoch, version);
    match incoming.against(stored) {
        Freshness::Stale => Plan::nothing(Outcome::Stale),
        Freshness::Duplicate => Plan::nothing(Outcome::Duplicate),
        Freshness::Newer => take(row, status, incoming, milliseconds(now)),
    }
}

fn usable_version(status: &StatusUpdate) -> Option<i64> {
    let kind_known = !matches!(status.spec.kind, UpdateKind::Other(_));
    let id_usable = status.id.parse::<InstanceId>().is_ok();
    let version = i64::try_from(status.status_version).ok();
    version.filter(|_| kind_known && id_usable)
}

fn take(row: &InstanceRow, status: &StatusUpdate, order: StatusOrder, now: Timestamp) -> Plan {
    let digest = digest(status);
    let mut state = row.state.clone();
    state.source_epoch = order.epoch;
    state.status_version = order.version;
    state.status_digest = Some(digest);
    state.last_status_at = Some(now);
    if row.state.status_digest == Some(digest) {
        return Plan::changing(Outcome::Bumped, state);
    }
    let seen_to_stop = row.state.stop_origin == Some(StopOrigin::Observed);
    if seen_to_stop && status.phase != UpdatePhase::Stopped {
        return Plan::nothing(Outcome::Terminal);
    }
    copy(&mut state, status);
    if state.conditions.deployed == Some(true) {
        state.deployed(row.created_at, now);
    }
    if let Some(phase) = phase::reported(status.phase) {
        phase::enter(&mut state, phase, row.created_at, now);
    }
    let effects = effects(row, &state, status);
    let measures = measures(row, &state);
    Plan::changing(Outcome::Applied, state)
        .with_effects(effects)
        .with_measures(measures)
}

/// All that is taken over as the status says it, whatever the phase.
///
/// A manager that has not learnt a URL, token or machine yet does not take back
/// what an earlier status said of it.
fn copy(state: &mut InstanceState, status: &StatusUpdate) {
    let ports = status.spec.exposed_ports.iter().map(port::exposed_port);
    state.exposed_ports = ports.collect();
    state.timeout = stated(&status.spec.timeout);
    state.message = stated(&status.message);
    state.conditions = conditions(&state.conditions, &status.conditions);
    if let Some(url) = stated(&status.spec.url) {
        state.ide_url = url;
    }
    let token = status.auth.owner_token.as_ref();
    if let Some(token) = token.filter(|token| !token.expose().is_empty()) {
        state.owner_token = Some(token.clone());
    }
    if let Some(runtime) = &status.runtime {
        keep_last(&mut state.node_name, &runtime.node_name);
        keep_last(&mut state.pod_name, &runtime.pod_name);
        keep_last(&mut state.node_ip, &runtime.node_ip);
    }
    if let Some(image) = status.metadata.image {
        keep_first(&mut state.image_total_size, image.total_size);
        keep_first(&mut state.image_workspace_size, image.workspace_image_size);
    }
}

fn keep_last(known: &mut Option<String>, said: &str) {
    if let Some(said) = stated(said) {
        *known = Some(said);
    }
}

fn keep_first(known: &mut Option<i64>, said: i64) {
    if known.unwrap_or_default() == 0 && said != 0 {
        *known = Some(said);
    }
}

fn effects(row: &InstanceRow, state: &InstanceState, status: &StatusUpdate) -> Vec<Effect> {
    let mut effects = Vec::new();
    if row.state.started_at.is_none() {
        effects.extend(running_effects(row, state));
    }
    effects.extend(InstanceMetrics::of(status).map(Effect::StoreMetrics));
    if state.stop_origin == Some(StopOrigin::Observed) && !stop_was_told(row) {
        effects.extend(stopped_effects(row, state));
    }
    effects.push(Effect::Announce(Announcement::of_instance(row)));
    effects
}

/// Whether the stop of `row` brought its effects with it. Who else writes a stop
/// may know nothing of them; telling it again is caught by the event's key.
fn stop_was_told(row: &InstanceRow) -> bool {
    let origin = row.state.stop_origin;
    matches!(origin, Some(StopOrigin::Observed | StopOrigin::Inferred))
}

fn measures(row: &InstanceRow, state: &InstanceState) -> Vec<Measure> {
    let mut measures = Vec::new();
    if let (None, Some(started)) = (row.state.started_at, state.started_at) {
        measures.push(Measure::StartupTime {
            after: started.duration_since(row.created_at),
            image_built: row.needed_image_build == Some(true),
        });
    }
    let used = state.conditions.first_user_activity;
    let known = row.state.conditions.first_user_activity;
    if let (None, Some(used), Some(started)) = (known, used, row.state.started_at) {
        measures.push(Measure::FirstUse(used.duration_since(started)));
    }
    if row.is_stopped() && state.phase != InstancePhase::Stopped {
        measures.push(Measure::Revived);
    }
    measures
}
