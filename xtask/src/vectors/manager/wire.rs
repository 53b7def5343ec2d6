//! A status update as protobuf's JSON writes it, with the names of the fields
//! as the schema has them and without what has its default value.

use gitpod_lifecycle::{GoDuration, StatusUpdate};
use serde_json::{Map, Value, json};

pub(super) fn protobuf_json(update: &StatusUpdate) -> anyhow::Result<Value> {
    let mut all = serde_json::to_value(update)?;
    nest(&mut all);
    let mut kept = without_defaults(&all).unwrap_or_else(|| json!({}));
    // Messages that are always set show even when they are empty.
    for path in [
        &["metadata"][..],
        &["spec"],
        &["conditions"],
        &["auth"],
        &["spec", "ide_image"],
    ] {
        let place = path.iter().fold(&mut kept, |place, key| &mut place[*key]);
        if place.is_null() {
            *place = json!({});
        }
    }
    Ok(kept)
}

/// Puts fields where the schema has them, under its names.
fn nest(all: &mut Value) {
    let spec = &mut all["spec"];
    spec["ide_image"] =
        json!({"web_ref": spec["ide_web_image"], "supervisor_ref": spec["supervisor_image"]});
    remove(spec, &["ide_web_image", "supervisor_image"]);
    let metadata = &mut all["metadata"];
    if !metadata["image"].is_null() {
        let image = numbers_as_text(&metadata["image"]);
        metadata["metrics"] = json!({"image": image});
    }
    remove(metadata, &["image"]);
    if let Value::Object(repo) = &all["repo"] {
        let renamed = repo
            .iter()
            .map(|(key, value)| (snake_case(key), value.clone()));
        all["repo"] = numbers_as_text(&Value::Object(renamed.collect()));
    }
    if let Value::Object(metrics) = &all["initializer_metrics"] {
        let renamed = metrics
            .iter()
            .map(|(key, value)| (snake_case(key), metric(value)));
        all["initializer_metrics"] = Value::Object(renamed.collect());
    }
    all["status_version"] = match all["status_version"].as_u64() {
        Some(0) | None => Value::Null,
        Some(version) => json!(version.to_string()),
    };
}

/// Protobuf writes durations in seconds, with three digits or more if needed.
fn metric(metric: &Value) -> Value {
    let duration = metric["duration"]
        .as_str()
        .and_then(|text| text.parse::<GoDuration>().ok());
    let seconds = duration.map(|duration| {
        let nanos = duration.as_nanos();
        match nanos % 1_000_000_000 {
            0 => format!("{}s", nanos / 1_000_000_000),
            rest => format!("{}.{:03}s", nanos / 1_000_000_000, rest / 1_000_000),
        }
    });
    match metric {
        Value::Null => Value::Null,
        _ => numbers_as_text(&json!({"duration": seconds, "size": metric["size"]})),
    }
}

/// Protobuf writes numbers of 64 bits as text.
fn numbers_as_text(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let items = object
                .iter()
                .map(|(key, value)| (key.clone(), numbers_as_text(value)));
            Value::Object(items.collect())
        }
        Value::Number(number) if number.as_i64() == Some(0) => Value::Null,
        Value::Number(number) => json!(number.to_string()),
        other => other.clone(),
    }
}

fn snake_case(name: &str) -> String {
    let letters = name
        .chars()
        .map(|letter| match letter.is_ascii_uppercase() {
            true => format!("_{}", letter.to_ascii_lowercase()),
            false => letter.to_string(),
        });
    letters.collect()
}

fn remove(object: &mut Value, keys: &[&str]) {
    if let Value::Object(object) = object {
        keys.iter().for_each(|key| drop(object.remove(*key)));
    }
}

/// `None` if it is the default of its type.
fn without_defaults(value: &Value) -> Option<Value> {
    const FIRST_OF_ENUM: [&str; 7] = [
        "UNKNOWN",
        "REGULAR",
        "FALSE",
        "ADMIT_OWNER_ONLY",
        "PORT_VISIBILITY_PRIVATE",
        "PORT_PROTOCOL_HTTP",
        "",
    ];
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if FIRST_OF_ENUM.contains(&text.as_str()) => None,
        Value::Number(number) if number.as_i64() == Some(0) => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| without_defaults(item).unwrap_or_else(|| json!({})));
            Some(Value::Array(items.collect()))
        }
        Value::Object(object) => {
            let kept = object
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), without_defaults(value)?)));
            let kept: Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}
