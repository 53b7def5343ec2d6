//! What operators count: starts, stops, failures, each once per run.

use crate::condition::{ConditionType, reason};
use crate::phase::Phase;
use crate::settings::Rules;
use crate::status::Status;

/// Something to be counted.
///
/// **Source:** counters of the reference system, manager specification, section 14.1.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Count {
    /// It became `Running`: the time since its creation is measured.
    Start,
    /// It left `Pending`: the time in it is measured.
    Pending,
    /// It left `Creating`: the time in it is measured.
    Creating,
    /// It has failed.
    Failure,
    /// Its content was put in place.
    Restore,
    /// Its content could not be put in place.
    RestoreFailure,
    /// Its content was put away, or could not be.
    Backup,
    /// Its content could not be put away.
    BackupFailure,
    /// It stopped without ever having been ready, and nobody wanted that.
    StartFailure,
    /// It stopped.
    Stop(StopReason),
}

/// Why an instance stopped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StopReason {
    /// It failed before it was ready.
    StartFailure,
    /// It used more disk than it may.
    OutOfSpace,
    /// It failed otherwise.
    Failed,
    /// Its stop was asked for without backup.
    Aborted,
    /// It reached a time limit.
    Timeout,
    /// Its last window was closed.
    TabClosed,
    /// Anything else: mostly somebody asked for it.
    RegularStop,
}

impl StopReason {
    /// Its name as label of a metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartFailure => "start-failure",
            Self::OutOfSpace => "out-of-space",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Timeout => "timeout",
            Self::TabClosed => "tab-closed",
            Self::RegularStop => "regular-stop",
        }
    }

    /// Why the instance with this status stopped, or will have.
    ///
    /// By the reference system's rules a `Failed` that is False counts too (Q10).
    #[must_use]
    pub fn of(status: &Status, rules: Rules) -> Self {
        let conditions = &status.conditions;
        let failed = conditions.find(&ConditionType::Failed);
        let failed =
            failed.filter(|_| !rules.are_improved() || conditions.is_true(&ConditionType::Failed));
        if let Some(failed) = failed {
            return match conditions.is_true(&ConditionType::EverReady) {
                false => Self::StartFailure,
                true if failed.message.contains(OUT_OF_SPACE) => Self::OutOfSpace,
                true => Self::Failed,
            };
        }
        let reasons = [
            (ConditionType::Aborted, Self::Aborted),
            (ConditionType::Timeout, Self::Timeout),
            (ConditionType::Closed, Self::TabClosed),
        ];
        let found = reasons
            .into_iter()
            .find(|(kind, _)| conditions.is_true(kind));
        found.map_or(Self::RegularStop, |(_, reason)| reason)
    }
}

const OUT_OF_SPACE: &str =
    "Pod ephemeral local storage usage exceeds the total limit of containers";

/// Whether an instance that stops now never came to be ready though nobody
/// stopped it and its machine did not refuse it.
#[must_use]
pub fn is_start_failure(status: &Status) -> bool {
    let excuses = [
        ConditionType::EverReady,
        ConditionType::Aborted,
        ConditionType::StoppedByRequest,
        ConditionType::PodRejected,
    ];
    !excuses.iter().any(|kind| status.conditions.is_true(kind))
}

/// What has been counted of one run, so that nothing is counted twice.
///
/// Forget it when the instance is `Stopped`, and when it starts over with
/// another runner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    counted: Vec<Count>,
    /// Phases that it was seen in.
    seen: Vec<Phase>,
    stopped: bool,
}

impl Counted {
    /// Of an instance that is seen for the first time: nothing that has already
    /// happened is counted any more.
    #[must_use]
    pub fn already(status: &Status, rules: Rules) -> Self {
        let mut counted = Self::default();
        counted.count(status, rules);
        // How long it has been in its phase is not known.
        counted.counted.extend(
            [
                (Phase::Pending, Count::Pending),
                (Phase::Creating, Count::Creating),
            ]
            .into_iter()
            .filter(|(phase, _)| *phase == status.phase)
            .map(|(_, count)| count),
        );
        counted
    }

    /// What is new since the last time.
    pub fn count(&mut self, status: &Status, rules: Rules) -> Vec<Count> {
        let mut new = self.due(status);
        new.retain(|count| !self.counted.contains(count));
        self.counted.extend(&new);
        if status.phase == Phase::Stopped && !self.stopped {
            self.stopped = true;
            new.extend(is_start_failure(status).then_some(Count::StartFailure));
            new.push(Count::Stop(StopReason::of(status, rules)));
        }
        if !self.seen.contains(&status.phase) {
            self.seen.push(status.phase);
        }
        new
    }

    /// What `status` shows, counted before or not.
    fn due(&self, status: &Status) -> Vec<Count> {
        let conditions = &status.conditions;
        let left = |phase| status.phase != phase && self.seen.contains(&phase);
        let content = conditions.find(&ConditionType::ContentReady);
        let init_failed = conditions.is_false(&ConditionType::ContentReady)
            && content.is_some_and(|content| content.reason == reason::INITIALIZATION_FAILURE);
        let backup_failed = conditions.is_true(&ConditionType::BackupFailure);
        let backed_up = conditions.is_true(&ConditionType::BackupComplete);
        let shown = [
            (Count::Start, status.phase == Phase::Running),
            (Count::Pending, left(Phase::Pending)),
            (Count::Creating, left(Phase::Creating)),
            (Count::Failure, conditions.is_true(&ConditionType::Failed)),
            (
                Count::Restore,
                conditions.is_true(&ConditionType::ContentReady),
            ),
            (Count::RestoreFailure, init_failed),
            (Count::Backup, backed_up || backup_failed),
            (Count::BackupFailure, backup_failed),
        ];
        shown
            .into_iter()
            .filter(|(_, shown)| *shown)
            .map(|(count, _)| count)
            .collect()
    }
}
