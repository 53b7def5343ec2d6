//! Cases of gitpod-bridge: the strict rules, whatever profile a case is of.

mod compare;
mod outbox_cases;
mod prebuild_cases;
mod row;
mod status;
mod status_cases;
mod sweep_cases;

use anyhow::Result;
use serde_json::Value;

use super::outcome::Outcome;
use compare::verdict;

/// Replays one case; `None` if its group is not supported yet.
pub(crate) fn replay(group: &str, _fixtures: &Value, case: &Value) -> Option<Outcome> {
    let replay = replay_of(group)?;
    let Some(case) = Case::of(case) else {
        return Some(Outcome::Skipped(
            "the case has no input or expectation".into(),
        ));
    };
    Some(match replay(&case) {
        Ok(got) => verdict(&case, &got),
        Err(error) => Outcome::Skipped(format!("not understood: {error:#}")),
    })
}

type Replay = fn(&Case<'_>) -> Result<Value>;

fn replay_of(group: &str) -> Option<Replay> {
    Some(match group {
        "status.diff" => status_cases::diff,
        "status.apply" => status_cases::apply,
        "status.sequence" => status_cases::sequence,
        "permute" => status_cases::permute,
        "source_epoch" => status_cases::source_epoch,
        "instance_metrics.merge" => status_cases::merge,
        "outbox" => outbox_cases::replay,
        "prebuild.map" => prebuild_cases::map,
        "prebuild.update" => prebuild_cases::update,
        "prebuild.stop" => prebuild_cases::stop,
        "controller.missing" => sweep_cases::missing_instances,
        "controller.timeouts" => sweep_cases::timeouts_of_instances,
        "controller.mark_stopped" => sweep_cases::mark,
        _ => return None,
    })
}

/// What a replay needs of a case.
struct Case<'a> {
    profile: &'a str,
    input: &'a Value,
    expect: &'a Value,
}

impl<'a> Case<'a> {
    fn of(case: &'a Value) -> Option<Self> {
        Some(Self {
            profile: case
                .get("profile")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            input: case.get("input")?,
            expect: case.get("expect")?,
        })
    }

    /// Whether who said that an instance has stopped counts: it is bookkeeping of strict mode.
    fn counts_stop_origin(&self) -> bool {
        self.profile == "strict"
    }
}
