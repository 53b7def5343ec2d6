//! Groups of small cases: one function each.

use std::time::Duration;

use anyhow::Context;
use gitpod_lifecycle::kube::{self, Workspace};
use gitpod_lifecycle::{
    Counted, GoDuration, Maintenance, MetadataFilter, Phase, Rules, StatusUpdate, StopReason,
    Token, UpdateMetadata, UrlTemplate, hours_and_minutes, is_start_failure, text_of_termination,
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value, json};

use super::input::{Scene, now, overlaid, settings, text, with_instants};
use super::lifecycle::name_of;

/// Both files have a group of this name, with input and result of different shapes.
pub(super) fn duration(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    if let Some(setting) = input.get("json") {
        let parsed: Result<GoDuration, _> = serde_json::from_value(setting.clone());
        return Ok(match parsed {
            Ok(parsed) => json!({"nanoseconds": parsed.as_nanos()}),
            Err(_) => json!({"error": true}),
        });
    }
    let parsed: Result<GoDuration, _> = text(&input["text"]).parse();
    Ok(match parsed {
        Ok(parsed) => json!({
            "ok": true,
            "nanos": parsed.as_nanos().to_string(),
            "canonical": parsed.to_string(),
        }),
        Err(_) => json!({"ok": false}),
    })
}

pub(super) fn hours_and_minutes_of(text: &str) -> anyhow::Result<String> {
    let parsed: GoDuration = text.parse()?;
    let length: Duration = parsed.to_std().context("negative duration")?;
    Ok(hours_and_minutes(length))
}

pub(super) fn duration_hm(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    Ok(json!({"text": hours_and_minutes_of(text(&input["text"]))?}))
}

pub(super) fn failure_log(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    Ok(json!({"message": text_of_termination(text(&input["logs"]))}))
}

pub(super) fn token_alphabet(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let bytes: Vec<u8> = serde_json::from_value(input["bytes"].clone())?;
    Ok(json!({"text": Token::letters_of(&bytes)}))
}

pub(super) fn url(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let Ok(template) = text(&input["template"]).parse::<UrlTemplate>() else {
        return Ok(json!({"error": true}));
    };
    let [id, prefix, host] = ["id", "prefix", "host"].map(|key| text(&input[key]));
    if input["port"] == json!(true) {
        let port = text(&input["workspacePort"]).parse()?;
        return Ok(json!({"url": template.of_port(id, prefix, host, port)}));
    }
    if template.needs_port() {
        return Ok(json!({"error": true}));
    }
    Ok(json!({"url": template.of_workspace(id, prefix, host)}))
}

pub(super) fn filter(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let mut filter = MetadataFilter::default();
    let wanted = &input["filter"];
    filter.owner = text(&wanted["owner"]).to_owned();
    filter.meta_id = text(&wanted["meta_id"]).to_owned();
    if let Some(annotations) = wanted.get("annotations") {
        filter.annotations = serde_json::from_value(annotations.clone())?;
    }
    let metadata: UpdateMetadata = serde_json::from_value(input["metadata"].clone())?;
    Ok(json!({"match": filter.matches(&metadata)}))
}

/// Values of the map that are objects stand for their JSON text.
pub(super) fn maintenance(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let data = with_instants(&input["configMap"])?;
    let as_text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let map = data.as_object().map(|data| ConfigMap {
        data: Some(
            data.iter()
                .map(|(key, value)| (key.clone(), as_text(value)))
                .collect(),
        ),
        ..ConfigMap::default()
    });
    Ok(json!({"enabled": kube::maintenance_of(map.as_ref(), now()) == Maintenance::On}))
}

pub(super) fn controller_event(_: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let labels = serde_json::from_value(input["labels"].clone())?;
    let node = text(&input["kind"]) == "Node";
    Ok(json!({"reconcile": node || kube::is_ours(Option::as_ref(&labels))}))
}

pub(super) fn subscriber_event(
    fixtures: &Value,
    input: &Value,
    _: &Value,
) -> anyhow::Result<Value> {
    // Deleted: it can no longer be read, so there is nothing to tell.
    if input["new"].is_null() {
        return Ok(json!({"publish": false}));
    }
    let settings = settings(&fixtures["defaults"]["config"])?;
    let named = json!({"metadata": {"name": "i1"}});
    let after: Workspace = overlaid(&named, &input["new"])?;
    let before: Option<Workspace> = match text(&input["event"]) {
        "create" => None,
        _ => Some(overlaid(&named, &input["old"])?),
    };
    let told = kube::is_change_told(before.as_ref(), &after, &settings)?;
    Ok(json!({ "publish": told }))
}

pub(super) fn metrics(fixtures: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let mut status = Scene::of(fixtures, input)?.workspace.to_status()?;
    status.phase = Phase::Stopped;
    let mut increments = Map::new();
    for count in Counted::default().count(&status, Rules::Reference) {
        let name = name_of(count);
        if !name.starts_with("stops") {
            increments.insert(name, json!(1));
        }
    }
    Ok(json!({
        "stopReason": StopReason::of(&status, Rules::Reference).as_str(),
        "startFailure": is_start_failure(&status),
        "increments": increments,
    }))
}

pub(super) fn status_map(fixtures: &Value, input: &Value, _: &Value) -> anyhow::Result<Value> {
    let scene = Scene::of(fixtures, input)?;
    let (spec, status) = (scene.workspace.to_spec()?, scene.workspace.to_status()?);
    let version = scene.workspace.version();
    let update = StatusUpdate::of(&spec, &status, version, &scene.settings);
    Ok(json!({"status": super::wire::protobuf_json(&update)?}))
}
