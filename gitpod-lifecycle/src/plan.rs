//! What to do about it: from spec, status and facts to actions.

use std::time::Duration;

use jiff::Timestamp;

use crate::condition::{Condition, ConditionType, reason};
use crate::disposal::{disposal_is_finished, must_end, time_left};
use crate::duration::GoDuration;
use crate::event::Event;
use crate::facts::{Facts, Maintenance, RunnerFacts};
use crate::phase::Phase;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::status::Status;

mod retry;

/// What [`plan`] decides: what to do, in this order, and when to look again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What to do, in order. The first that fails ends the pass.
    pub actions: Vec<Action>,
    /// When to look again, if nothing changes before.
    pub look_again: LookAgain,
}

/// Something to be done on the platform or to the record of an instance.
///
/// Each may be repeated without harm, and may be left out when the process ends
/// in between: the next pass finds what is missing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Create a runner of this name.
    ///
    /// When it was created, store `when_created` as the status and tell
    /// [`Event::Creating`]; when it existed already, do neither.
    CreateRunner {
        /// What to call it.
        name: String,
        /// The status, with one more runner counted.
        when_created: Box<Status>,
    },
    /// Delete the runner of this name. That it is gone already is no failure;
    /// then there is no need to look again soon.
    DeleteRunner {
        /// Which one.
        name: String,
        /// How long it has to end by itself. Its platform's default if absent.
        grace: Option<Duration>,
    },
    /// No longer keep the runner of this name, which is deleted, from vanishing.
    ReleaseRunner {
        /// Which one.
        name: String,
    },
    /// Forget what was only needed to start: secrets of environment and content.
    DropSecrets,
    /// Store this status, in which something has been taken back.
    StoreStatus {
        /// The status.
        status: Box<Status>,
        /// What to tell once that is done.
        event: Option<Event>,
    },
    /// Nothing is left of it: let its record go, and tell [`Event::Deleting`].
    ForgetInstance,
}

/// When to look again, if nothing changes before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LookAgain {
    /// When something changes.
    WhenChanged,
    /// Soon: what was done has consequences that are not seen yet.
    Soon,
    /// After this time.
    After(Duration),
}

/// What to do about an instance, given the status that
/// [`observe`](crate::observe()) has just found and that was stored.
///
/// Depends on nothing but its arguments. Doing it twice does no harm.
///
/// | runner | when | do |
/// |---|---|---|
/// | none | none was ever created | create one |
/// | none | `Stopped`, refused by its machine | after a while start over, a few times |
/// | none | `Stopped` | drop secrets, forget the instance |
/// | one | has to end, not deleting | delete it |
/// | one | `Running` | drop secrets |
/// | one | `Stopped` | release it |
///
/// Under [`Rules::Improved`](crate::Rules::Improved): nothing is created for an
/// instance that has to end (Q29); a runner that is deleted is deleted again if
/// a stop with less grace is asked for (Q36); of several runners each is deleted;
/// what waits for a limit is looked at when that is reached (Q11, Q13).
///
/// **Source:** manager specification, sections 8.1 to 8.3.
#[must_use]
pub fn plan(
    spec: &Spec,
    status: &Status,
    facts: &Facts,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let question = Question {
        spec,
        status,
        facts,
        settings,
        now,
    };
    match facts.runners.as_slice() {
        [] => question.without_runner(),
        [first, _, ..] if !settings.rules.are_improved() => question.with_runner(first),
        [runner] => question.with_runner(runner),
        runners => question.with_several(runners),
    }
}

/// Name of the runner of an instance: `ws-` and the name of the instance.
#[must_use]
pub fn runner_name(spec: &Spec) -> String {
    format!("{}-{}", spec.kind.runner_prefix(), spec.instance)
}

struct Question<'a> {
    spec: &'a Spec,
    status: &'a Status,
    facts: &'a Facts,
    settings: &'a Settings,
    now: Timestamp,
}

impl Question<'_> {
    fn without_runner(&self) -> Plan {
        let stopped = self.status.phase == Phase::Stopped;
        if self.wants_runner() {
            return Plan::of([self.create()], LookAgain::WhenChanged);
        }
        if stopped && self.holds(&ConditionType::PodRejected) {
            return self.retry();
        }
        if stopped {
            let actions = [Action::DropSecrets, Action::ForgetInstance];
            return Plan::of(actions, LookAgain::WhenChanged);
        }
        Plan::of([], self.when_to_look_again())
    }

    fn wants_runner(&self) -> bool {
        let started = self.status.runner_starts;
        let missing = started == 0 || started <= self.status.runner_recreated;
        let ending = matches!(self.status.phase, Phase::Stopping | Phase::Stopped)
            || must_end(self.spec, self.status);
        missing && !(self.improved() && ending)
    }

    fn create(&self) -> Action {
        let mut counted = self.status.clone();
        counted.runner_starts = counted.runner_starts.saturating_add(1);
        Action::CreateRunner {
            name: runner_name(self.spec),
            when_created: Box::new(counted),
        }
    }

    fn with_runner(&self, runner: &RunnerFacts) -> Plan {
        if let Some(grace) = self.deletion_of(runner) {
            return Plan::of([delete(runner, grace)], LookAgain::Soon);
        }
        match self.status.phase {
            Phase::Running => Plan::of([Action::DropSecrets], self.when_to_look_again()),
            Phase::Stopped => {
                let again = match runner.held {
                    true => LookAgain::After(AFTER_RELEASE),
                    false => LookAgain::WhenChanged,
                };
                Plan::of([release(runner)], again)
            }
            _ => Plan::of([], self.when_to_look_again()),
        }
    }

    fn with_several(&self, runners: &[RunnerFacts]) -> Plan {
        let waiting = runners.iter().filter(|runner| !runner.is_deleting());
        let mut actions: Vec<_> = waiting.map(|runner| delete(runner, None)).collect();
        if actions.is_empty() && self.status.phase == Phase::Stopped {
            actions.extend(runners.iter().map(release));
        }
        let again = if actions.is_empty() {
            self.when_to_look_again()
        } else {
            LookAgain::Soon
        };
        Plan::of(actions, again)
    }

    /// Whether to delete `runner`, and with how much grace.
    fn deletion_of(&self, runner: &RunnerFacts) -> Option<Option<Duration>> {
        let grace = self.requested_grace();
        if runner.is_deleting() {
            // Q36: whoever asks for a quicker stop gets it.
            let shorter = self.improved() && grace.is_some() && grace < runner.grace;
            return shorter.then_some(grace);
        }
        if self.holds(&ConditionType::Failed) {
            return Some(None);
        }
        if self.holds(&ConditionType::StoppedByRequest) {
            return Some(grace);
        }
        (must_delete(self) || self.outlives_its_instance(runner)).then_some(None)
    }

    /// Whether `runner` is there though the instance has ended, or is about to.
    fn outlives_its_instance(&self, runner: &RunnerFacts) -> bool {
        match self.status.phase {
            Phase::Stopped => self.spec.is_headless() || self.improved(),
            Phase::Stopping => self.improved() && !(self.spec.is_headless() && runner.has_ended()),
            _ => false,
        }
    }

    /// Grace that a stop was asked for with, in whole seconds.
    fn requested_grace(&self) -> Option<Duration> {
        let text = self
            .status
            .conditions
            .message_if_true(&ConditionType::StoppedByRequest)?;
        let grace = text.parse::<GoDuration>().ok()?.to_std()?;
        Some(Duration::from_secs(grace.as_secs()))
    }

    fn when_to_look_again(&self) -> LookAgain {
        if !self.improved() {
            return LookAgain::WhenChanged;
        }
        match self.status.phase {
            Phase::Stopping => self.while_stopping(),
            _ if self.is_blocked_by_maintenance() => LookAgain::After(MAINTENANCE_POLL),
            _ => LookAgain::WhenChanged,
        }
    }

    fn while_stopping(&self) -> LookAgain {
        let finished = disposal_is_finished(self.spec, self.status);
        if finished && self.facts.runners.is_empty() {
            return LookAgain::Soon;
        }
        let timeouts = &self.settings.timeouts;
        let limit = if finished {
            timeouts.stopping
        } else {
            timeouts.content_finalization
        };
        let since = self.status.stopping_time.unwrap_or(self.now);
        match time_left(since, limit, self.now) {
            Some(left) if left.is_zero() => LookAgain::Soon,
            Some(left) => LookAgain::After(left),
            None => LookAgain::WhenChanged,
        }
    }

    /// Q13: nothing tells when maintenance is over.
    fn is_blocked_by_maintenance(&self) -> bool {
        self.facts.maintenance == Maintenance::On
            && self.spec.is_headless()
            && self.facts.runners.iter().any(RunnerFacts::has_ended)
    }

    fn holds(&self, kind: &ConditionType) -> bool {
        self.status.conditions.is_true(kind)
    }

    fn improved(&self) -> bool {
        self.settings.rules.are_improved()
    }
}

/// The rest of what ends a runner: see the table of section 8.2, A3 to A6.
fn must_delete(question: &Question<'_>) -> bool {
    let init_failed = |content: &Condition| {
        content.status == crate::ConditionStatus::False
            && content.reason == reason::INITIALIZATION_FAILURE
    };
    question.holds(&ConditionType::NodeDisappeared)
        || question.holds(&ConditionType::Timeout)
        || question
            .status
            .conditions
            .find(&ConditionType::ContentReady)
            .is_some_and(init_failed)
        || question.spec.deletion_requested_at.is_some()
        || (question.improved() && question.holds(&ConditionType::Aborted))
}

fn delete(runner: &RunnerFacts, grace: Option<Duration>) -> Action {
    Action::DeleteRunner {
        name: runner.name.clone(),
        grace,
    }
}

fn release(runner: &RunnerFacts) -> Action {
    Action::ReleaseRunner {
        name: runner.name.clone(),
    }
}

impl Plan {
    fn of(actions: impl Into<Vec<Action>>, look_again: LookAgain) -> Self {
        Self {
            actions: actions.into(),
            look_again,
        }
    }
}

/// The reference system looks again 10 s after a release, in case that it misses the end.
const AFTER_RELEASE: Duration = Duration::from_secs(10);
/// Maintenance is announced for minutes, so looking once a minute is soon enough.
const MAINTENANCE_POLL: Duration = Duration::from_secs(60);
