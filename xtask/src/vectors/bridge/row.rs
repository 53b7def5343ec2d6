//! Rows of instances: as cases write them ↔ as the bridge keeps them.

use anyhow::{Context, Result};
use gitpod_bridge::{InstanceConditions, InstanceRow, InstanceState};
use gitpod_routing::WorkspaceId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The row that `value` describes.
pub(super) fn read(value: &Value) -> Result<InstanceRow> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let created = text("created_at").parse().context("created_at")?;
    let workspace = workspace_id(text("workspace_id"))?;
    let id = text("id").parse().context("id")?;
    let mut row = InstanceRow::new(id, workspace, text("region"), created)
        .with_owner(text("owner_id"))
        .with_state(state(value)?);
    let conditions = value.get("conditions");
    let built = conditions.and_then(|known| known.get("needed_image_build"));
    row.needed_image_build = built.and_then(Value::as_bool);
    Ok(row)
}

fn state(value: &Value) -> Result<InstanceState> {
    let text = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let owned = |key: &str| text(key).map(str::to_owned);
    let number = |key: &str| value.get(key).and_then(Value::as_i64);
    let image = |key: &str| {
        value
            .get("image_metrics")
            .and_then(|image| image.get(key)?.as_i64())
    };
    let mut state = InstanceState::new(text("phase").context("phase")?.parse()?);
    state.stop_origin = text("stop_origin").map(str::parse).transpose()?;
    state.source_epoch = number("source_epoch").unwrap_or(1);
    state.status_version = number("status_version").unwrap_or_default();
    state.deployed_at = time(value, "deployed_at")?;
    state.started_at = time(value, "started_at")?;
    state.stopping_at = time(value, "stopping_at")?;
    state.stopped_at = time(value, "stopped_at")?;
    state.ide_url = owned("ide_url").unwrap_or_default();
    state.message = owned("message");
    state.timeout = owned("timeout");
    state.node_name = owned("node_name");
    state.pod_name = owned("pod_name");
    state.node_ip = owned("node_ip");
    state.owner_token = text("owner_token").map(Into::into);
    if let Some(ports) = value.get("exposed_ports") {
        state.exposed_ports = serde_json::from_value(ports.clone()).context("exposed_ports")?;
    }
    if let Some(conditions) = value.get("conditions") {
        state.conditions = serde_json::from_value(conditions.clone()).context("conditions")?;
    }
    state.image_total_size = image("total_size");
    state.image_workspace_size = image("workspace_image_size");
    Ok(state)
}

fn time(value: &Value, key: &str) -> Result<Option<Timestamp>> {
    let text = value.get(key).and_then(Value::as_str);
    let text = text.filter(|text| !text.is_empty());
    text.map(str::parse)
        .transpose()
        .with_context(|| key.to_owned())
}

/// `row` as cases write it.
pub(super) fn written(row: &InstanceRow) -> Result<Value> {
    let state = &row.state;
    Ok(json!({
        "id": row.id.as_str(),
        "workspace_id": workspace_text(&row.workspace_id),
        "owner_id": row.owner_id,
        "region": row.region,
        "created_at": row.created_at,
        "deployed_at": state.deployed_at,
        "started_at": state.started_at,
        "stopping_at": state.stopping_at,
        "stopped_at": state.stopped_at,
        "ide_url": state.ide_url,
        "phase": state.phase.as_str(),
        "status_version": state.status_version,
        "message": state.message,
        "timeout": state.timeout,
        "node_name": state.node_name,
        "pod_name": state.pod_name,
        "node_ip": state.node_ip,
        "owner_token": state.owner_token.as_ref().map(|token| token.expose()),
        "exposed_ports": state.exposed_ports,
        "conditions": conditions(&state.conditions, row.needed_image_build)?,
        "image_metrics": {
            "total_size": state.image_total_size,
            "workspace_image_size": state.image_workspace_size,
        },
        "stop_origin": state.stop_origin.map(|origin| origin.as_str()),
    }))
}

fn conditions(known: &InstanceConditions, built: Option<bool>) -> Result<Value> {
    let mut written: Map<String, Value> = serde_json::from_value(serde_json::to_value(known)?)?;
    written.insert("needed_image_build".into(), built.into());
    Ok(Value::Object(written))
}

/// Cases name workspaces in ways that no workspace is named in, as `w1`.
pub(super) fn workspace_id(text: &str) -> Result<WorkspaceId> {
    let padded = format!("{STAND_IN}{text:0>8}");
    let id = text.parse().or_else(|_| padded.parse());
    id.with_context(|| format!("`{text}` cannot stand for a workspace"))
}

/// The way back.
pub(super) fn workspace_text(id: &WorkspaceId) -> &str {
    let text = id.as_str();
    text.strip_prefix(STAND_IN)
        .map_or(text, |padded| padded.trim_start_matches('0'))
}

const STAND_IN: &str = "ws-case-";
