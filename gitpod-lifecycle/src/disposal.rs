//! Whether what an instance leaves behind is taken care of.

use jiff::Timestamp;
use std::time::Duration;

use crate::condition::ConditionType;
use crate::spec::{Spec, WorkspaceKind};
use crate::status::Status;

/// Whether nothing more has to be saved or removed once the instance is down.
///
/// True if its content was put away, could not be, need not be, or never was
/// there; for a refused runner, if what it left on its machine was looked after.
///
/// **Source:** manager specification, section 7, *disposal finished*.
#[must_use]
pub fn disposal_is_finished(spec: &Spec, status: &Status) -> bool {
    let conditions = &status.conditions;
    if conditions.is_true(&ConditionType::PodRejected) {
        return conditions.has(&ConditionType::StateWiped);
    }
    let settled = [
        ConditionType::BackupComplete,
        ConditionType::BackupFailure,
        ConditionType::Aborted,
        ConditionType::NodeDisappeared,
    ];
    settled.iter().any(|kind| conditions.is_true(kind))
        || !conditions.is_true(&ConditionType::ContentReady)
        || spec.kind == WorkspaceKind::ImageBuild
}

/// Whether the instance has to end, whatever else is going on.
#[must_use]
pub fn must_end(spec: &Spec, status: &Status) -> bool {
    let ends = [
        ConditionType::Failed,
        ConditionType::StoppedByRequest,
        ConditionType::Aborted,
        ConditionType::NodeDisappeared,
        ConditionType::Timeout,
    ];
    spec.deletion_requested_at.is_some() || ends.iter().any(|kind| status.conditions.is_true(kind))
}

/// How long until `limit` has passed since `since`; `None` if it has no limit.
pub(crate) fn time_left(since: Timestamp, limit: Duration, now: Timestamp) -> Option<Duration> {
    if limit.is_zero() {
        return None;
    }
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    Some(limit.saturating_sub(passed))
}
