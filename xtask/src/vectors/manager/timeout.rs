//! `timeout`: one pass of the timeout controller.

use gitpod_lifecycle::{ConditionType, timeout};
use serde_json::{Value, json};

use super::input::{Scene, now};
use super::phase::events;

pub(super) fn replay(fixtures: &Value, input: &Value, expect: &Value) -> anyhow::Result<Value> {
    let scene = Scene::of(fixtures, input)?;
    let (spec, mut status) = (scene.workspace.to_spec()?, scene.workspace.to_status()?);
    let verdict = timeout(&spec, &status, scene.maintenance, &scene.settings, now());
    let fired = verdict.fired.is_some();
    let told: Vec<_> = verdict
        .fired
        .map(|fired| fired.record(&mut status, now()))
        .into_iter()
        .collect();
    let again = verdict.look_again_after.unwrap_or_default().as_millis();
    let mut got = json!({
        "timedOut": status.conditions.is_true(&ConditionType::Timeout),
        "requeueAfterMs": u64::try_from(again)?,
        "events": events(&told),
    });
    let noted = status
        .conditions
        .find(&ConditionType::Timeout)
        .filter(|_| fired);
    if let Some(noted) = noted {
        got["conditionReason"] = json!(noted.reason);
        if expect.get("messageContains").is_some() {
            got["message"] = json!(noted.message);
        }
    }
    Ok(got)
}
