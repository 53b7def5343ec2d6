//! What the facts mean: from spec, status and facts to the next status.

use jiff::Timestamp;

use crate::condition::{Condition, ConditionStatus, ConditionType, reason};
use crate::disposal::{disposal_is_finished, must_end, time_left};
use crate::event::Event;
use crate::facts::{Facts, RunnerFacts};
use crate::phase::Phase;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::status::Status;

mod runner;

/// What [`observe`] finds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// The status now. To be written before anything is done about it.
    pub status: Status,
    /// What is worth telling.
    pub events: Vec<Event>,
}

/// What `facts` mean for an instance: its next status.
///
/// Depends on nothing but its arguments. Repeating it with the same facts
/// soon changes nothing more: going from `Running` to
/// `Stopped` always takes a pass in `Stopping`.
///
/// | runners | phase |
/// |---|---|
/// | none | `Pending` if new, `Stopped` if it was `Stopping` and its content is taken care of, else as before |
/// | one, deleting | `Stopping`, then `Stopped` |
/// | one, pending | `Creating` while its container is created, else `Pending` |
/// | one, running | `Running` once content and container are ready, and from then on; else `Initializing` |
/// | one, ended | of a headless workspace `Stopping`, then `Stopped`; else `Unknown` |
/// | several | as before, and failed |
///
/// Under [`Rules::Improved`](crate::Rules::Improved) (Q6 to Q8, Q11, Q29):
///
/// - `Stopping` is left for `Stopped` only, and `Stopped` not at all;
/// - an instance that has to end, or whose runner is gone, becomes `Stopping`
///   without a runner as well;
/// - a regular workspace whose runner has ended becomes `Stopping`;
/// - it becomes `Stopped` only when its workspace container no longer runs;
/// - what takes longer than its limit in `Stopping` is given up.
///
/// **Source:** manager specification, sections 7.1 to 7.3.
#[must_use]
pub fn observe(
    spec: &Spec,
    status: &Status,
    facts: &Facts,
    settings: &Settings,
    now: Timestamp,
) -> Observation {
    let mut pass = Pass {
        spec,
        facts,
        settings,
        now,
        before: status.phase,
        status: status.clone(),
        events: Vec::new(),
    };
    pass.give_up_what_takes_too_long();
    match facts.runners.as_slice() {
        [] => pass.without_runner(),
        [runner] => pass.with_runner(runner),
        runners => pass.with_several(runners),
    }
    pass.finish()
}

/// One pass: the status so far, and what it is made from.
struct Pass<'a> {
    spec: &'a Spec,
    facts: &'a Facts,
    settings: &'a Settings,
    now: Timestamp,
    /// Phase before this pass.
    before: Phase,
    status: Status,
    events: Vec<Event>,
}

impl Pass<'_> {
    fn without_runner(&mut self) {
        if self.before == Phase::Unset {
            self.status.phase = Phase::Pending;
        }
        if self.improved() && self.ends_without_runner() {
            self.status.phase = Phase::Stopping;
        } else if self.before == Phase::Stopping && self.disposal_is_finished() {
            self.status.phase = Phase::Stopped;
        }
        if self.status.phase == Phase::Stopped {
            self.status.runner_deletion_time.get_or_insert(self.now);
        }
        self.note_container(ConditionStatus::False);
    }

    /// Whether the instance has to go to `Stopping` though it has no runner.
    fn ends_without_runner(&mut self) -> bool {
        if self.is_ending() {
            return false;
        }
        if must_end(self.spec, &self.status) {
            return true;
        }
        // A runner was seen, and is gone though nobody asked for that.
        let lost = self.status.conditions.has(&ConditionType::Deployed);
        if lost {
            self.fail("runner has disappeared");
        }
        lost
    }

    fn with_several(&mut self, runners: &[RunnerFacts]) {
        if !self.improved() {
            // Set anew in each pass, and not told.
            self.set(Condition::holds(ConditionType::Failed, self.now).saying(MULTIPLE));
            return;
        }
        self.fail(MULTIPLE);
        let down = runners
            .iter()
            .all(|runner| runner.is_deleting() && self.is_down(runner));
        match self.before {
            Phase::Stopped => {}
            Phase::Stopping if down && self.disposal_is_finished() => {
                self.status.phase = Phase::Stopped
            }
            _ => self.status.phase = Phase::Stopping,
        }
    }

    /// Q11: nothing may hold up an end for ever.
    fn give_up_what_takes_too_long(&mut self) {
        let limit = self.settings.timeouts.content_finalization;
        if !self.improved() || !self.has_been_stopping_for(limit) || self.disposal_is_finished() {
            return;
        }
        let text = "took too long and was given up";
        let given_up = if self.holds(&ConditionType::PodRejected) {
            Condition::fails(ConditionType::StateWiped, self.now)
        } else {
            Condition::holds(ConditionType::BackupFailure, self.now).because(reason::BACKUP_FAILED)
        };
        self.set(given_up.saying(text));
    }

    /// Notes the change of phase, and tells of it.
    fn finish(mut self) -> Observation {
        let phase = self.status.phase;
        if phase != self.before {
            if phase == Phase::Stopping {
                self.status.stopping_time = Some(self.now);
            }
            self.events.extend(match phase {
                Phase::Initializing => Some(Event::Initializing),
                Phase::Running => Some(Event::Running),
                Phase::Stopping => Some(Event::Stopping),
                _ => None,
            });
        }
        Observation {
            status: self.status,
            events: self.events,
        }
    }

    /// Notes a failure, unless there was one before.
    fn fail(&mut self, text: &str) {
        if !self.holds(&ConditionType::Failed) {
            self.set(Condition::holds(ConditionType::Failed, self.now).saying(text));
            self.events.push(Event::Failed(text.to_owned()));
        }
    }

    fn note_container(&mut self, runs: ConditionStatus) {
        self.set(Condition::new(
            ConditionType::WorkspaceContainerRunning,
            runs,
            self.now,
        ));
    }

    fn set(&mut self, condition: Condition) {
        self.status.conditions.set(condition);
    }

    fn holds(&self, kind: &ConditionType) -> bool {
        self.status.conditions.is_true(kind)
    }

    fn disposal_is_finished(&self) -> bool {
        disposal_is_finished(self.spec, &self.status)
    }

    fn is_ending(&self) -> bool {
        matches!(self.before, Phase::Stopping | Phase::Stopped)
    }

    fn improved(&self) -> bool {
        self.settings.rules.are_improved()
    }

    fn has_been_stopping_for(&self, limit: std::time::Duration) -> bool {
        let since = self
            .status
            .stopping_time
            .filter(|_| self.before == Phase::Stopping);
        since
            .and_then(|since| time_left(since, limit, self.now))
            .is_some_and(|left| left.is_zero())
    }

    /// Whether nothing of the workspace runs in `runner` any more.
    fn is_down(&self, runner: &RunnerFacts) -> bool {
        !self.improved()
            || !runner.workspace_runs()
            || self.holds(&ConditionType::NodeDisappeared)
            || self.has_been_stopping_for(self.settings.timeouts.stopping)
    }
}

const MULTIPLE: &str = "multiple pods (runners) exist for one instance";
