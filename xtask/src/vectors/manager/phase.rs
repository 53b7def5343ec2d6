//! `phase`: one status pass over a workspace and the pods it controls.

use gitpod_lifecycle::kube::resource::Runtime;
use gitpod_lifecycle::{Conditions, Event, Status, observe};
use serde_json::{Map, Value, json};

use super::input::{Scene, now};

pub(super) fn replay(fixtures: &Value, input: &Value, expect: &Value) -> anyhow::Result<Value> {
    let scene = match (Scene::of(fixtures, input), expect.get("error")) {
        // A broken template is refused before the first pass, not in it.
        (Err(_), Some(error)) => return Ok(json!({ "error": error })),
        (scene, _) => scene?,
    };
    let (spec, status) = (scene.workspace.to_spec()?, scene.workspace.to_status()?);
    let observation = observe(&spec, &status, &scene.facts(), &scene.settings, now());
    let mut got = Map::new();
    let after = &observation.status;
    got.insert("phase".into(), json!(after.phase.as_str()));
    got.insert("conditions".into(), conditions(&after.conditions));
    got.insert("events".into(), events(&observation.events));
    let mut workspace = scene.workspace.clone();
    workspace.set_status(after);
    if let Some(runtime) = &workspace.status.runtime {
        got.insert("runtime".into(), runtime_of(runtime));
    }
    if !after.url.is_empty() {
        got.insert("url".into(), json!(after.url));
    }
    got.extend(flags(after));
    Ok(Value::Object(got))
}

fn flags(status: &Status) -> Map<String, Value> {
    let flags = [
        ("ownerTokenSet", status.owner_token.is_some()),
        ("podStoppingTimeSet", status.stopping_time.is_some()),
        ("podDeletionTimeSet", status.runner_deletion_time.is_some()),
    ];
    let set = flags.into_iter().filter(|(_, set)| *set);
    set.map(|(name, _)| (name.to_owned(), json!(true)))
        .collect()
}

/// Reasons of events, in order.
pub(super) fn events(events: &[Event]) -> Value {
    events.iter().map(Event::reason).collect()
}

fn conditions(conditions: &Conditions) -> Value {
    let shown = conditions.iter().map(|condition| {
        let mut shown = json!({"status": condition.status, "reason": condition.reason});
        if !condition.message.is_empty() {
            shown["message"] = json!(condition.message);
        }
        (condition.kind.as_str().to_owned(), shown)
    });
    Value::Object(shown.collect())
}

/// Only what is known.
fn runtime_of(runtime: &Runtime) -> Value {
    let fields = [
        ("nodeName", &runtime.node_name),
        ("podName", &runtime.pod_name),
        ("podIP", &runtime.pod_ip),
        ("hostIP", &runtime.host_ip),
    ];
    let known = fields.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(
        known
            .map(|(name, text)| (name.to_owned(), json!(text)))
            .collect(),
    )
}
