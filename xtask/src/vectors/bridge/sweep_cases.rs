//! Groups about instances that stop without their manager saying so: `controller.*`.

use anyhow::{Context, Result};
use gitpod_bridge::{InstanceRow, StopOrigin, SweepTimeouts, mark_stopped, missing, timed_out};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::status_cases::{described, list, member, now};
use super::{Case, row};

pub(super) fn missing_instances(case: &Case<'_>) -> Result<Value> {
    let reported = case.input.get("reported").and_then(Value::as_array);
    let reported = |id: &str| reported.is_some_and(|names| names.iter().any(|name| name == id));
    let (now, timeouts) = (now(case)?, timeouts(case));
    stopped(case, |row| {
        !reported(row.id.as_str()) && missing(row, now, &timeouts)
    })
}

pub(super) fn timeouts_of_instances(case: &Case<'_>) -> Result<Value> {
    let (now, timeouts) = (now(case)?, timeouts(case));
    stopped(case, |row| timed_out(row, now, &timeouts))
}

fn stopped(case: &Case<'_>, is_stopped: impl Fn(&InstanceRow) -> bool) -> Result<Value> {
    let mut names = Vec::new();
    for instance in list(case, "instances")? {
        let mut full = json!({ "workspace_id": "w1", "region": "c1" });
        let members = full.as_object_mut().context("object")?;
        members.extend(instance.as_object().context("instance")?.clone());
        // A creation that cannot be read never times out.
        let Ok(row) = row::read(&full) else { continue };
        if is_stopped(&row) {
            names.push(row.id.to_string());
        }
    }
    Ok(json!({ "mark_stopped": names }))
}

fn timeouts(case: &Case<'_>) -> SweepTimeouts {
    let mut timeouts = SweepTimeouts::default();
    let named = [
        ("preparing", &mut timeouts.preparing),
        ("building", &mut timeouts.building),
        ("unknown", &mut timeouts.unknown),
        ("pending", &mut timeouts.pending),
        ("creating", &mut timeouts.creating),
        ("initializing", &mut timeouts.initializing),
        ("interrupted", &mut timeouts.interrupted),
        ("stopping", &mut timeouts.stopping),
    ];
    for (name, limit) in named {
        let seconds = case
            .input
            .get("timeouts")
            .and_then(|given| given.get(name)?.as_i64());
        if let Some(seconds) = seconds {
            *limit = SignedDuration::from_secs(seconds);
        }
    }
    timeouts
}

/// The message is free but for words that it must mention; it is not compared as a part of the row.
pub(super) fn mark(case: &Case<'_>) -> Result<Value> {
    let known = row::read(member(case, "row")?)?;
    let why = format!("not reported any more while {}", known.state.phase);
    let planned = mark_stopped(&known, now(case)?, StopOrigin::Inferred, why);
    let mut got = described(Some(known), &planned)?;
    let message = got["row"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mentioned = case.expect["message_mentions"].as_array();
    let mentioned = mentioned.into_iter().flatten().filter(|word| {
        let word = word.as_str().unwrap_or_default();
        message.contains(word)
    });
    got["message_mentions"] = mentioned.cloned().collect();
    got["row"]["message"] = case.input["row"]["message"].clone();
    Ok(got)
}
