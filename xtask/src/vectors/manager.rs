//! Cases of gitpod-lifecycle.
//!
//! ```text
//! case ─ overlay on defaults, instants filled in → kube objects → core → compare
//! ```
//!
//! Where the reference system is known to misbehave the core does better by
//! default; the cases are replayed by the reference's rules.

use serde_json::{Map, Value, json};

use super::outcome::Outcome;

mod action;
mod cluster;
mod input;
mod lifecycle;
mod phase;
mod rpc;
mod small;
mod timeout;
mod wire;

/// Replays one case; `None` if its group is not supported yet.
pub(crate) fn replay(group: &str, fixtures: &Value, case: &Value) -> Option<Outcome> {
    let replay: Replay = match group {
        "phase" => phase::replay,
        "action" => action::replay,
        "lifecycle" => lifecycle::replay,
        "timeout" => timeout::replay,
        "duration" => small::duration,
        "duration_hm" => small::duration_hm,
        "failure_log" => small::failure_log,
        "token_alphabet" => small::token_alphabet,
        "url" => small::url,
        "filter" => small::filter,
        "maintenance" => small::maintenance,
        "status_map" => small::status_map,
        "subscriber_event" => small::subscriber_event,
        "controller_event" => small::controller_event,
        "metrics" => small::metrics,
        "rpc" => return Some(rpc::replay(fixtures, case)),
        _ => return None,
    };
    Some(outcome(replay, fixtures, case))
}

/// Replays one case of the proxy's file, of which settings of time are ours.
pub(crate) fn replay_of_proxy(group: &str, fixtures: &Value, case: &Value) -> Option<Outcome> {
    (group == "duration").then(|| outcome(small::duration, fixtures, case))
}

/// Gets fixtures, input and expectation; gives all of the result that can be compared.
type Replay = fn(&Value, &Value, &Value) -> anyhow::Result<Value>;

fn outcome(replay: Replay, fixtures: &Value, case: &Value) -> Outcome {
    let (nothing, expect) = (Value::Null, &case["expect"]);
    let input = case.get("input").unwrap_or(&nothing);
    match replay(fixtures, input, expect) {
        Ok(got) => compare(expect, got),
        Err(why) => Outcome::Differs {
            expected: expect.clone(),
            got: json!({ "cannot be replayed": format!("{why:#}") }),
        },
    }
}

/// Compares key by key what `expect` and `got` have; `got` holds all that could be compared.
fn compare(expect: &Value, got: Value) -> Outcome {
    if agrees(expect, &got) {
        return Outcome::Same;
    }
    Outcome::Differs {
        expected: expect.clone(),
        got,
    }
}

/// Whether `got` is what `expect` asks for, by the conventions of the cases:
/// `messageContains` lists parts of `message`, and `{min, max}` bounds a number.
fn agrees(expect: &Value, got: &Value) -> bool {
    match (expect, got) {
        (Value::Object(expect), Value::Number(got)) => within(expect, got.as_f64()),
        (Value::Object(expect), Value::Object(got)) => objects_agree(expect, got),
        (Value::Array(expect), Value::Array(got)) => {
            expect.len() == got.len() && expect.iter().zip(got).all(|(e, g)| agrees(e, g))
        }
        _ => expect == got,
    }
}

fn within(bounds: &Map<String, Value>, number: Option<f64>) -> bool {
    let bound = |key| bounds.get(key).and_then(Value::as_f64);
    match (bound("min"), bound("max"), number) {
        (Some(min), Some(max), Some(number)) => (min..=max).contains(&number),
        _ => false,
    }
}

fn objects_agree(expect: &Map<String, Value>, got: &Map<String, Value>) -> bool {
    let message = got
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let parts = expect.get("messageContains").and_then(Value::as_array);
    let says = |part: &Value| part.as_str().is_some_and(|part| message.contains(part));
    let told = parts.is_none_or(|parts| parts.iter().all(says));
    let wanted = |key: &String| key != "messageContains" && expect.contains_key(key);
    let free = |key: &String| key == "message" && parts.is_some();
    told && expect
        .iter()
        .filter(|(key, _)| wanted(key))
        .all(|(key, value)| got.get(key).is_some_and(|got| agrees(value, got)))
        && got.keys().all(|key| expect.contains_key(key) || free(key))
}

#[cfg(test)]
mod tests;
