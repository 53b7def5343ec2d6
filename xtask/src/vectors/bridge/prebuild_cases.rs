//! Groups about prebuilds: `prebuild.*`.

use anyhow::{Context, Result};
use gitpod_bridge::{
    Announcement, DecidedWhen, Origin, PrebuildAudience, PrebuildOutcome, PrebuildPlan,
    PrebuildRow, map_prebuild, plan_prebuild, stop_prebuild,
};
use serde_json::{Map, Value, json};

use super::status_cases::{member, restore_workspace};
use super::{Case, row, status};

pub(super) fn map(case: &Case<'_>) -> Result<Value> {
    let phase = member(case, "phase")?.as_str().context("phase")?;
    let conditions = status::conditions(member(case, "conditions")?)?;
    let update = map_prebuild(decided(case), status::phase(phase)?, &conditions);
    let update = update.map(|update| {
        json!({
            "event": update.event.as_str(),
            "state": update.state.as_str(),
            "snapshot": update.snapshot,
            "error": update.error,
        })
    });
    Ok(json!({ "update": update }))
}

pub(super) fn update(case: &Case<'_>) -> Result<Value> {
    let status = status::read_parts(member(case, "status")?)?;
    let known = prebuild(case, &status.metadata.meta_id)?;
    let planned = plan_prebuild(known.as_ref(), &status, decided(case), &Origin::new("c1"));
    described(case, known, &planned)
}

pub(super) fn stop(case: &Case<'_>) -> Result<Value> {
    let workspace = member(case, "workspace_id")?
        .as_str()
        .context("workspace_id")?;
    let Some(known) = prebuild(case, workspace)? else {
        let outcome = PrebuildOutcome::NoPrebuild.as_str();
        return Ok(json!({ "outcome": outcome, "effects": [] }));
    };
    let planned = stop_prebuild(&known);
    described(case, Some(known), &planned)
}

fn decided(case: &Case<'_>) -> DecidedWhen {
    match case.input["stopped_phase_mode"].as_bool() {
        Some(true) => DecidedWhen::Stopped,
        _ => DecidedWhen::Stopping,
    }
}

fn prebuild(case: &Case<'_>, workspace: &str) -> Result<Option<PrebuildRow>> {
    let Some(value) = case.input.get("prebuild").filter(|value| value.is_object()) else {
        return Ok(None);
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut known = PrebuildRow::new(
        text(value, "id").unwrap_or_default(),
        row::workspace_id(workspace)?,
    );
    known.state = text(value, "state").context("state")?.parse()?;
    known.status_version = value["status_version"].as_i64().unwrap_or_default();
    known.source_epoch = 1;
    known.project_id = text(value, "project_id");
    known.snapshot = text(value, "snapshot");
    known.error = text(value, "error");
    let info = case
        .input
        .get("prebuild_info")
        .filter(|info| info.is_object());
    known.audience = info.map(|info| PrebuildAudience::new(text(info, "team_id")));
    Ok(Some(known))
}

fn described(case: &Case<'_>, known: Option<PrebuildRow>, planned: &PrebuildPlan) -> Result<Value> {
    let after = planned.change.clone().or(known);
    Ok(json!({
        "outcome": planned.outcome.as_str(),
        "prebuild": after.map(|after| written(case, &after)),
        "effects": effects(planned),
        "counters": counters(planned),
    }))
}

/// The row with all that the case says of it and the bridge does not keep.
fn written(case: &Case<'_>, prebuild: &PrebuildRow) -> Value {
    let mut row = case.input["prebuild"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    row.insert("id".into(), prebuild.id.clone().into());
    row.insert("state".into(), prebuild.state.as_str().into());
    row.insert("status_version".into(), prebuild.status_version.into());
    row.insert("project_id".into(), prebuild.project_id.clone().into());
    row.insert("snapshot".into(), prebuild.snapshot.clone().into());
    row.insert("error".into(), prebuild.error.clone().into());
    Value::Object(row)
}

fn effects(planned: &PrebuildPlan) -> Vec<Value> {
    let stored = matches!(
        planned.outcome,
        PrebuildOutcome::Updated | PrebuildOutcome::Aborted
    );
    let stored = stored.then(|| json!({ "kind": "store.prebuild" }));
    let told = planned.announcements.iter().map(published);
    stored.into_iter().chain(told).collect()
}

fn published(announcement: &Announcement) -> Value {
    let message = announcement.to_message();
    let mut payload = message.payload;
    restore_workspace(&mut payload);
    json!({ "kind": "publish", "channel": message.channel, "payload": payload })
}

fn counters(planned: &PrebuildPlan) -> Value {
    let mut counters = Map::new();
    if planned.outcome == PrebuildOutcome::Stale {
        counters.insert("stale_prebuild_events_total".into(), 1.into());
    }
    if let Some(state) = planned.completed {
        let labels = json!({ "state": state.as_str() });
        counters.insert("prebuilds_completed_total".into(), labels);
    }
    Value::Object(counters)
}
