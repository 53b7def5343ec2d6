//! `action`: which writes follow from a status.

use gitpod_lifecycle::{Conditions, LookAgain, Status, plan};
use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::input::{Scene, now};
use super::phase::events;

pub(super) fn replay(fixtures: &Value, input: &Value, expect: &Value) -> anyhow::Result<Value> {
    let scene = Scene::of(fixtures, input)?;
    let (spec, status) = (scene.workspace.to_spec()?, scene.workspace.to_status()?);
    let plan = plan(&spec, &status, &scene.facts(), &scene.settings, now());
    let mut cluster = Cluster::new(scene.workspace.clone(), fixtures, input, now());
    cluster.pods.clone_from(&scene.pods);
    cluster.unlisted.clone_from(&scene.unlisted_pods);
    let workspace = scene.workspace;
    let again = cluster.execute(plan);
    let after = cluster
        .workspace
        .as_ref()
        .unwrap_or(&workspace)
        .to_status()?;
    let mut got = Map::new();
    got.insert("ops".into(), json!(cluster.ops));
    got.insert("events".into(), events(&cluster.events));
    got.insert("requeue".into(), requeue(again, expect));
    if let LookAgain::After(wait) = again {
        got.insert(
            "requeueAfterMs".into(),
            json!(u64::try_from(wait.as_millis())?),
        );
    }
    got.insert("status".into(), status_of(&after, &expect["status"]));
    Ok(Value::Object(got))
}

/// The reference system says both "again" and "after so long" where only the
/// second counts; ours has one word for it.
fn requeue(again: LookAgain, expect: &Value) -> Value {
    match again {
        LookAgain::After(_) => expect["requeue"].clone(),
        again => json!(again == LookAgain::Soon),
    }
}

fn status_of(status: &Status, expect: &Value) -> Value {
    let mut got = json!({
        "phase": status.phase.as_str(),
        "podStarts": status.runner_starts,
        "podRecreated": status.runner_recreated,
        "conditions": truth_of(&status.conditions),
    });
    let flags = [
        ("ownerTokenSet", status.owner_token.is_some()),
        ("urlSet", !status.url.is_empty()),
    ];
    for (name, set) in flags {
        if expect.get(name).is_some() {
            got[name] = json!(set);
        }
    }
    got
}

fn truth_of(conditions: &Conditions) -> Value {
    let all = conditions
        .iter()
        .map(|condition| (condition.kind.as_str().to_owned(), json!(condition.status)));
    Value::Object(all.collect())
}
