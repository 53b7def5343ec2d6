//! Whether something has gone wrong, and what to tell people about it.

use crate::condition::{Condition, ConditionStatus, ConditionType, reason};
use crate::facts::{
    ContainerFacts, ContainerState, Facts, NodeState, RunnerFacts, RunnerPhase, Termination,
};
use crate::phase::Phase;
use crate::settings::Rules;
use crate::spec::Spec;
use crate::status::Status;

/// Something that has gone wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    /// What, for people.
    pub(crate) text: String,
    /// Phase that the reference system shows in between.
    pub(crate) proposed: Option<Phase>,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            proposed: None,
        }
    }

    fn proposing(mut self, phase: Phase) -> Self {
        self.proposed = Some(phase);
        self
    }
}

/// What has gone wrong with an instance that has one runner, if anything.
///
/// **Source:** manager specification, section 7.4, in its order.
pub(crate) fn failure_of(
    spec: &Spec,
    status: &Status,
    runner: &RunnerFacts,
    facts: &Facts,
    rules: Rules,
) -> Option<Failure> {
    of_conditions(status, rules)
        .or_else(|| of_runner(runner))
        .map(Failure::new)
        .or_else(|| {
            Scan {
                spec,
                status,
                runner,
                facts,
                rules,
            }
            .containers()
        })
}

fn of_conditions(status: &Status, rules: Rules) -> Option<String> {
    let find = |kind| status.conditions.find(kind);
    let is_false = |found: &&Condition| found.status == ConditionStatus::False;
    let content = find(&ConditionType::ContentReady)
        .filter(|found| is_false(found) && found.reason == reason::INITIALIZATION_FAILURE);
    if let Some(found) = content {
        return Some(told("content could not be put in place", found));
    }
    // Q10: the reference system takes a BackupFailure that is False for a failure.
    let backup = find(&ConditionType::BackupFailure)
        .filter(|found| !rules.are_improved() || found.status == ConditionStatus::True);
    if let Some(found) = backup {
        return Some(told("backup failed", found));
    }
    let wiped = find(&ConditionType::StateWiped).filter(is_false)?;
    Some(told(
        "state of a refused runner could not be removed",
        wiped,
    ))
}

fn told(what: &str, condition: &Condition) -> String {
    match condition.message.as_str() {
        "" => format!("{what} for an unknown reason"),
        message => format!("{what}: {message}"),
    }
}

fn of_runner(runner: &RunnerFacts) -> Option<String> {
    if runner.phase != RunnerPhase::Failed {
        return None;
    }
    match (runner.reason.as_str(), runner.message.as_str()) {
        ("", "") => None,
        (reason, "") => Some(reason.to_owned()),
        ("", message) => Some(message.to_owned()),
        (reason, message) => Some(format!("{reason}: {message}")),
    }
}

/// Looks at the containers of a runner, one after the other.
struct Scan<'a> {
    spec: &'a Spec,
    status: &'a Status,
    runner: &'a RunnerFacts,
    facts: &'a Facts,
    rules: Rules,
}

/// What one container says.
enum Finding {
    /// Nothing: look at the next one.
    Nothing,
    /// That all is well whatever the next ones say.
    AllIsWell,
    /// That something went wrong.
    Wrong(Failure),
}

impl Scan<'_> {
    fn containers(&self) -> Option<Failure> {
        for container in &self.runner.containers {
            match self.container(container) {
                Finding::Nothing => {}
                Finding::AllIsWell => return None,
                Finding::Wrong(failure) => return Some(failure),
            }
        }
        self.ended_without_a_word()
    }

    /// Q7: a regular runner that has ended has failed, even if it does not say how.
    fn ended_without_a_word(&self) -> Option<Failure> {
        let unexpected = self.rules.are_improved()
            && !self.spec.is_headless()
            && !self.runner.is_deleting()
            && self.runner.has_ended();
        unexpected.then(|| Failure::new(format!("runner {} has ended by itself", self.runner.name)))
    }

    fn container(&self, container: &ContainerFacts) -> Finding {
        let ended = match &container.state {
            ContainerState::Waiting { reason, message } if is_pull_error(reason) => {
                let failure = Failure::new(format!("cannot pull image: {message}"));
                return Finding::Wrong(self.unless_deleting(failure, Phase::Creating));
            }
            ContainerState::Terminated(ended) => Some(ended),
            _ => container.last_termination.as_ref(),
        };
        ended.map_or(Finding::Nothing, |ended| {
            self.termination(&container.name, ended)
        })
    }

    fn termination(&self, name: &str, ended: &Termination) -> Finding {
        if ended.exit_code != 0 && !ended.message.is_empty() {
            return self.last_words(ended);
        }
        let Termination {
            exit_code,
            reason,
            message,
        } = ended;
        let deleting = self.runner.is_deleting();
        let failure = match (reason.as_str(), exit_code) {
            ("Error", 137) => return Finding::Nothing,
            _ if deleting => return Finding::Nothing,
            ("Error", code) => {
                Failure::new(format!("container {name} ended with exit code {code}"))
                    .proposing(Phase::Running)
            }
            ("Completed", _) if self.spec.is_headless() => return Finding::Nothing,
            ("Completed", _) => Failure::new(format!(
                "container {name} has completed, which it should not"
            )),
            (reason, 255) => {
                Failure::new(format!("container {name} was lost: {reason}: {message}"))
            }
            (reason, _) => Failure::new(format!("container {name} ended: {reason}: {message}"))
                .proposing(Phase::Unknown),
        };
        Finding::Wrong(failure)
    }

    /// A container that failed and said something about it.
    fn last_words(&self, ended: &Termination) -> Finding {
        let lost = ended.exit_code == 137 && ended.reason == "ContainerStatusUnknown";
        let node_is_well = self.facts.node(&self.status.runner.node) == NodeState::Present;
        let task_failed =
            self.spec.is_headless() && ended.message.starts_with(HEADLESS_TASK_FAILED);
        if (lost && node_is_well) || task_failed {
            return Finding::AllIsWell;
        }
        let failure = Failure::new(text_of_termination(&ended.message));
        Finding::Wrong(self.unless_deleting(failure, Phase::Running))
    }

    fn unless_deleting(&self, failure: Failure, phase: Phase) -> Failure {
        if self.runner.is_deleting() {
            failure
        } else {
            failure.proposing(phase)
        }
    }
}

/// What the supervisor of a prebuild writes before its last words when a task
/// fails. That is the prebuild's result, and no failure of the workspace.
const HEADLESS_TASK_FAILED: &str = "headless task failed: ";

fn is_pull_error(reason: &str) -> bool {
    matches!(reason, "ImagePullBackOff" | "ErrImagePull")
}

/// Whether the machine refused a runner, so that another one may do better.
///
/// **Source:** manager specification, section 7.5.
pub(crate) fn is_refused(runner: &RunnerFacts) -> bool {
    runner.phase == RunnerPhase::Failed
        && matches!(
            runner.reason.as_str(),
            "NodeAffinity" | "OutOfcpu" | "OutOfmemory"
        )
        && runner.message.starts_with("Pod was rejected")
}

/// What to tell people of the last words of a container.
///
/// Of the lines that end with a newline, the last one that is a JSON object with
/// a `message` counts: `message`, or `message: error` if it has an `error` too.
/// If there is none, all of the text does. (In the reference system the `error`
/// of a later line can get into the text of an earlier one.)
///
/// ```
/// let log = "starting\n{\"message\":\"cannot clone\",\"error\":\"exit status 128\"}\n";
/// assert_eq!(gitpod_lifecycle::text_of_termination(log), "cannot clone: exit status 128");
/// ```
///
/// **Source:** manager specification, end of section 7.4.
#[must_use]
pub fn text_of_termination(log: &str) -> String {
    let ended = log
        .rfind('\n')
        .and_then(|end| log.get(..end))
        .unwrap_or_default();
    let told = ended.rsplit('\n').find_map(message_of_line);
    told.unwrap_or_else(|| log.to_owned())
}

fn message_of_line(line: &str) -> Option<String> {
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let text = |key| {
        line.get(key)
            .and_then(serde_json::Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let message = text("message")?;
    Some(match text("error") {
        Some(error) => format!("{message}: {error}"),
        None => message.to_owned(),
    })
}
