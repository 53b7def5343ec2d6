//! What one runner means.

use crate::condition::{Condition, ConditionStatus, ConditionType, reason};
use crate::event::Event;
use crate::facts::{ContainerState, Maintenance, NodeState, RunnerFacts, RunnerPhase};
use crate::failure::{failure_of, is_refused};
use crate::phase::Phase;

use super::Pass;

impl Pass<'_> {
    pub(super) fn with_runner(&mut self, runner: &RunnerFacts) {
        self.note_runner(runner);
        self.note_lost_node(runner);
        self.note_access();
        self.note_failure(runner);
        self.note_failed_task(runner);
        self.note_container(if runner.workspace_runs() {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        });
        if let Some(phase) = self.phase_with(runner) {
            self.status.phase = phase;
        }
    }

    fn note_runner(&mut self, runner: &RunnerFacts) {
        if !self.status.conditions.has(&ConditionType::Deployed) {
            self.set(Condition::holds(ConditionType::Deployed, self.now));
        }
        if self.improved() {
            // Counted here too, in case that nobody lived to count it when it was created.
            let seen = self.status.runner_recreated.saturating_add(1);
            self.status.runner_starts = self.status.runner_starts.max(seen);
        }
        let known = &mut self.status.runner;
        if known.node.is_empty() {
            known.node = runner.node.clone().unwrap_or_default();
        }
        if known.name.is_empty() {
            known.name.clone_from(&runner.name);
        }
        known.host_address = known.host_address.or(runner.host_address);
        known.address = runner.address;
    }

    fn note_lost_node(&mut self, runner: &RunnerFacts) {
        let node = runner.node.as_deref();
        let gone = node.is_some_and(|node| self.facts.node(node) == NodeState::Gone);
        if !gone || self.holds(&ConditionType::NodeDisappeared) {
            return;
        }
        if !self.disposal_is_finished() {
            let lost = Condition::holds(ConditionType::BackupFailure, self.now);
            let text = "node disappeared before the content was put away";
            self.set(lost.because(reason::BACKUP_FAILED).saying(text));
        }
        self.set(Condition::holds(ConditionType::NodeDisappeared, self.now));
    }

    fn note_access(&mut self) {
        if self.status.url.is_empty() {
            self.status.url = self.settings.url_template.of_workspace(
                self.spec.instance.as_str(),
                self.spec.workspace.as_str(),
                &self.settings.host_url,
            );
        }
        if self.status.owner_token.is_none() {
            self.status.owner_token.clone_from(&self.facts.fresh_token);
        }
    }

    fn note_failure(&mut self, runner: &RunnerFacts) {
        let rules = self.settings.rules;
        let Some(failure) = failure_of(self.spec, &self.status, runner, self.facts, rules) else {
            return;
        };
        if let (Some(phase), false) = (failure.proposed, self.improved()) {
            self.status.phase = phase;
        }
        let first_refusal = is_refused(runner)
            && !self.holds(&ConditionType::PodRejected)
            && !self.holds(&ConditionType::EverReady);
        if first_refusal {
            let refused = Condition::holds(ConditionType::PodRejected, self.now);
            self.set(refused.saying(&*failure.text));
            self.events.push(Event::PodRejected(failure.text.clone()));
        }
        self.fail(&failure.text);
    }

    /// Notes the last words of a task that nobody watches.
    fn note_failed_task(&mut self, runner: &RunnerFacts) {
        if !self.spec.is_headless() || self.holds(&ConditionType::HeadlessTaskFailed) {
            return;
        }
        // Q31: the reference system takes any last words for a failure.
        let counts = |code: i32| !self.improved() || code != 0;
        let words = runner
            .containers
            .iter()
            .find_map(|container| match &container.state {
                ContainerState::Terminated(ended)
                    if !ended.message.is_empty() && counts(ended.exit_code) =>
                {
                    Some(ended.message.clone())
                }
                _ => None,
            });
        if let Some(words) = words {
            self.set(Condition::holds(ConditionType::HeadlessTaskFailed, self.now).saying(words));
        }
    }

    /// The phase by the table of section 7.3; `None` leaves it as it is.
    fn phase_with(&mut self, runner: &RunnerFacts) -> Option<Phase> {
        if self.improved() && self.is_ending() {
            return Some(self.end_with(runner));
        }
        if runner.is_deleting() {
            return Some(self.end_with(runner));
        }
        match runner.phase {
            RunnerPhase::Pending if is_being_created(runner) => Some(Phase::Creating),
            RunnerPhase::Pending => Some(Phase::Pending),
            RunnerPhase::Running => Some(self.phase_of_running(runner)),
            RunnerPhase::Succeeded | RunnerPhase::Failed => self.phase_of_ended(runner),
            RunnerPhase::Unknown | RunnerPhase::Unset => Some(Phase::Unknown),
        }
    }

    /// `Stopping` at first, and `Stopped` once everything is taken care of.
    fn end_with(&self, runner: &RunnerFacts) -> Phase {
        let out = runner.is_deleting() || runner.has_ended() || !self.improved();
        match self.before {
            Phase::Stopping if out && self.is_down(runner) && self.disposal_is_finished() => {
                Phase::Stopped
            }
            Phase::Stopped => Phase::Stopped,
            _ => Phase::Stopping,
        }
    }

    fn phase_of_running(&mut self, runner: &RunnerFacts) -> Phase {
        if self.holds(&ConditionType::EverReady) {
            return Phase::Running;
        }
        // Q35: in the reference system any container will do.
        let serves = match self.improved() {
            true => runner
                .workspace_container()
                .is_some_and(|container| container.ready),
            false => runner.containers.iter().any(|container| container.ready),
        };
        if serves && self.holds(&ConditionType::ContentReady) {
            self.set(Condition::holds(ConditionType::EverReady, self.now));
            return Phase::Running;
        }
        Phase::Initializing
    }

    fn phase_of_ended(&mut self, runner: &RunnerFacts) -> Option<Phase> {
        if !self.spec.is_headless() {
            // Q8: the reference system shows Unknown until the runner is deleted.
            return Some(if self.improved() {
                Phase::Stopping
            } else {
                Phase::Unknown
            });
        }
        if runner.phase == RunnerPhase::Succeeded && !self.holds(&ConditionType::EverReady) {
            self.set(Condition::holds(ConditionType::EverReady, self.now));
        }
        match self.end_with(runner) {
            // Here what the reference system shows in between survives.
            Phase::Stopping if self.maintained() => None,
            phase => Some(phase),
        }
    }

    fn maintained(&self) -> bool {
        self.facts.maintenance == Maintenance::On
    }
}

fn is_being_created(runner: &RunnerFacts) -> bool {
    let known = ["ContainerCreating", "ImagePullBackOff", "ErrImagePull"];
    runner
        .containers
        .iter()
        .any(|container| match &container.state {
            ContainerState::Waiting { reason, .. } => known.contains(&reason.as_str()),
            _ => false,
        })
}
