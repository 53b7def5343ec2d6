//! When two answers are the same.

use serde_json::{Map, Value};

use super::Case;
use crate::vectors::outcome::Outcome;

/// Compares what the case expects with `got`, for the keys that the case states.
///
/// `""`, `null`, an absent key and an empty list are one value. Of rows a case
/// states only what differs from its input.
pub(super) fn verdict(case: &Case<'_>, got: &Value) -> Outcome {
    let mut expected = Map::new();
    let mut compared = Map::new();
    for (key, expect) in case.expect.as_object().into_iter().flatten() {
        let before = case.input.get(key).filter(|_| ROWS.contains(&key.as_str()));
        let expect = before.map_or_else(|| expect.clone(), |before| changed(before, expect));
        let (mut expect, mut found) = (plain(&expect), plain(got.get(key).unwrap_or(&Value::Null)));
        if !case.counts_stop_origin() {
            without_origin(&mut expect);
            without_origin(&mut found);
        }
        expected.insert(key.clone(), expect);
        compared.insert(key.clone(), found);
    }
    let (expected, got) = (Value::Object(expected), Value::Object(compared));
    if expected == got {
        Outcome::Same
    } else {
        Outcome::Differs { expected, got }
    }
}

const ROWS: [&str; 2] = ["row", "prebuild"];

fn changed(before: &Value, changes: &Value) -> Value {
    let mut after = before.clone();
    if let (Some(after), Some(changes)) = (after.as_object_mut(), changes.as_object()) {
        after.extend(changes.clone());
    }
    after
}

fn without_origin(row: &mut Value) {
    if let Some(row) = row.as_object_mut() {
        row.remove("stop_origin");
    }
}

/// `value` without what counts as absent, and with all numbers of one kind.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, member)| (key.clone(), plain(member)));
            let members: Map<_, _> = members.filter(|(_, member)| !is_absent(member)).collect();
            Value::Object(members)
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::String(text) => Value::String(plain_time(text)),
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        other => other.clone(),
    }
}

/// Times are the same whatever fraction they write.
fn plain_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.to_string(),
        Err(_) => text.to_owned(),
    }
}

fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
