//! Groups about statuses: `status.*`, `permute`, `source_epoch`, `instance_metrics.merge`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use gitpod_bridge::{
    Effect, Freshness, InstanceRow, InstanceState, Measure, Origin, Outcome, Plan, StatusOrder,
    digest, merge_metrics, plan,
};
use gitpod_lifecycle::StatusUpdate;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Case, row, status};

pub(super) fn diff(case: &Case<'_>) -> Result<Value> {
    let of = |key| Ok::<_, anyhow::Error>(digest(&status::read_parts(member(case, key)?)?));
    Ok(json!({ "relevant": of("a")? != of("b")? }))
}

pub(super) fn apply(case: &Case<'_>) -> Result<Value> {
    let mut known = optional_row(case)?;
    if let (Some(known), Some(last)) = (&mut known, case.input.get("last_status")) {
        known.state.status_digest = Some(digest(&status::read_parts(last)?));
    }
    let planned = match status::read(member(case, "status")?)? {
        Some(status) => plan(known.as_ref(), &status, now(case)?, &origin(case)),
        None => Plan::nothing(Outcome::Invalid),
    };
    described(known, &planned)
}

/// A plan and what it makes of the row, as cases write them.
pub(super) fn described(known: Option<InstanceRow>, planned: &Plan) -> Result<Value> {
    let after = known.map(|known| row::written(&after(known, planned)));
    Ok(json!({
        "outcome": planned.outcome.as_str(),
        "row": after.transpose()?,
        "effects": effects(planned),
        "counters": counters(planned),
    }))
}

fn after(known: InstanceRow, planned: &Plan) -> InstanceRow {
    match &planned.change {
        Some(state) => known.with_state(InstanceState::clone(state)),
        None => known,
    }
}

/// The first run is told before the row is stored, all else after it.
fn effects(planned: &Plan) -> Vec<Value> {
    let mut effects: Vec<_> = planned.effects.iter().map(effect).collect();
    if matches!(planned.outcome, Outcome::Applied | Outcome::MarkedStopped) {
        let ran = |effect: &Value| effect["event"] == "workspace_running";
        let first = effects.iter().take_while(|effect| ran(effect)).count();
        effects.insert(first, json!({ "kind": "store.instance" }));
    }
    effects
}

fn effect(effect: &Effect) -> Value {
    match effect {
        Effect::StoreMetrics(metrics) => {
            json!({ "kind": "store.instance_metrics", "value": metrics.to_document() })
        }
        Effect::RevokeTokens {
            owner_id,
            instance_id,
            ..
        } => json!({
            "kind": "tokens.delete", "user": owner_id, "name_like": format!("{instance_id}-%"),
        }),
        Effect::Once(event) => json!({
            "kind": "analytics", "event": event.name(), "message_id": event.key(),
            "timestamp": event.timestamp,
        }),
        Effect::Announce(announcement) => {
            let message = announcement.to_message();
            let mut payload = message.payload;
            restore_workspace(&mut payload);
            json!({ "kind": "publish", "channel": message.channel, "payload": payload })
        }
        Effect::StopPrebuild { workspace_id, .. } => json!({
            "kind": "prebuild.stop", "workspace_id": row::workspace_text(workspace_id),
        }),
        other => json!({ "kind": format!("{other:?}") }),
    }
}

/// Puts the case's own name of a workspace in the place of its stand-in.
pub(super) fn restore_workspace(payload: &mut Value) {
    if let Some(name) = payload.get_mut("workspaceID") {
        let id = name.as_str().and_then(|text| text.parse().ok());
        if let Some(id) = id {
            *name = row::workspace_text(&id).into();
        }
    }
}

fn counters(planned: &Plan) -> Value {
    let mut counters = serde_json::Map::new();
    match planned.outcome {
        Outcome::Invalid | Outcome::MarkedStopped => {}
        Outcome::UnknownInstance => {
            counters.insert(
                "status_updates_total".into(),
                json!({ "known_instance": "false" }),
            );
        }
        _ => {
            counters.insert(
                "status_updates_total".into(),
                json!({ "known_instance": "true" }),
            );
        }
    }
    if planned.outcome == Outcome::Stale {
        counters.insert("stale_status_updates_total".into(), 1.into());
    }
    for measure in &planned.measures {
        let (name, value) = match measure {
            Measure::StartupTime { after, .. } => {
                ("workspace_startup_time", json!(after.as_secs_f64()))
            }
            Measure::FirstUse(after) => ("first_user_activity_time", json!(after.as_secs_f64())),
            Measure::MarkedStopped(phase) => (
                "instances_marked_stopped_total",
                json!({ "previous_phase": phase.as_str() }),
            ),
            _ => continue,
        };
        counters.insert(name.into(), value);
    }
    Value::Object(counters)
}

/// A row that lives through several statuses, with the memory of what was told once.
struct Life {
    row: InstanceRow,
    origin: Origin,
    told: BTreeSet<String>,
    counts: BTreeMap<String, u64>,
}

impl Life {
    fn take(&mut self, status: &StatusUpdate, now: Timestamp) -> Outcome {
        let planned = plan(Some(&self.row), status, now, &self.origin);
        let events = planned.effects.iter().filter_map(|effect| match effect {
            Effect::Once(event) => Some(event.key()),
            _ => None,
        });
        let repeated: Vec<_> = events
            .filter(|key| !self.told.insert(key.clone()))
            .collect();
        for effect in effects(&planned) {
            let key = effect["message_id"].as_str().unwrap_or_default();
            if !repeated.iter().any(|repeated| repeated == key) {
                *self.counts.entry(counted_as(&effect)).or_default() += 1;
            }
        }
        self.row = after(self.row.clone(), &planned);
        planned.outcome
    }
}

fn counted_as(effect: &Value) -> String {
    let words = ["kind", "channel", "event"].map(|key| effect[key].as_str().unwrap_or_default());
    words
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn life(case: &Case<'_>) -> Result<Life> {
    Ok(Life {
        row: optional_row(case)?.context("row")?,
        origin: origin(case),
        told: BTreeSet::new(),
        counts: BTreeMap::new(),
    })
}

pub(super) fn sequence(case: &Case<'_>) -> Result<Value> {
    let mut life = life(case)?;
    let mut outcomes = Vec::new();
    for step in list(case, "steps")? {
        let now = step["at"].as_str().context("at")?.parse()?;
        let outcome = match status::read(&step["status"])? {
            Some(status) => life.take(&status, now),
            None => Outcome::Invalid,
        };
        outcomes.push(outcome.as_str());
    }
    Ok(json!({
        "outcomes": outcomes,
        "row": row::written(&life.row)?,
        "effect_counts": life.counts,
    }))
}

/// Answers with the expectation if it holds for every order that was tried.
pub(super) fn permute(case: &Case<'_>) -> Result<Value> {
    let history = list(case, "history")?.iter().map(status::read_parts);
    let history: Vec<_> = history.collect::<Result<_>>()?;
    let expect = &case.expect["invariant"];
    let rounds = case.input["shuffles"].as_u64().unwrap_or(200);
    let mut shuffle = Shuffle(0x2545_f491_4f6c_dd1d);
    for _ in 0..rounds {
        let mut life = life(case)?;
        for status in shuffle.with_repetitions(&history) {
            life.take(status, Timestamp::UNIX_EPOCH);
        }
        let end = json!({
            "phase": life.row.state.phase.as_str(),
            "status_version": life.row.state.status_version,
        });
        let row_holds = ["phase", "status_version"]
            .iter()
            .all(|key| expect[key] == end[key]);
        let count = |key: &str| life.counts.get(key).copied().unwrap_or_default();
        let counts = |key: &str| expect[key].as_object().into_iter().flatten();
        let exact = counts("effect_counts").all(|(key, n)| n.as_u64() == Some(count(key)));
        let below = counts("effect_counts_max").all(|(key, n)| n.as_u64() >= Some(count(key)));
        if !(row_holds && exact && below) {
            return Ok(json!({ "invariant": { "row": end, "effect_counts": life.counts } }));
        }
    }
    Ok(json!({ "invariant": expect }))
}

struct Shuffle(u64);

impl Shuffle {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }

    fn with_repetitions<'a, T>(&mut self, items: &'a [T]) -> Vec<&'a T> {
        let mut shuffled: Vec<_> = items.iter().collect();
        shuffled.extend(items.iter().filter(|_| self.below(2) == 0));
        for last in (1..shuffled.len()).rev() {
            shuffled.swap(last, self.below(last + 1));
        }
        shuffled
    }
}

pub(super) fn source_epoch(case: &Case<'_>) -> Result<Value> {
    let order = |key| {
        let at = member(case, key)?;
        let number = |key: &str| at[key].as_i64().with_context(|| key.to_owned());
        Ok::<_, anyhow::Error>(StatusOrder::new(
            number("source_epoch")?,
            number("status_version")?,
        ))
    };
    let freshness = order("status")?.against(order("row")?);
    Ok(json!({ "accepted": freshness == Freshness::Newer }))
}

pub(super) fn merge(case: &Case<'_>) -> Result<Value> {
    let part = |key: &str| case.input.get(key).cloned().unwrap_or_default();
    Ok(json!({ "value": merge_metrics(part("current"), part("update")) }))
}

pub(super) fn now(case: &Case<'_>) -> Result<Timestamp> {
    let text = member(case, "now")?.as_str().context("now")?;
    Ok(text.parse()?)
}

pub(super) fn member<'a>(case: &Case<'a>, key: &str) -> Result<&'a Value> {
    case.input.get(key).with_context(|| format!("no {key}"))
}

pub(super) fn list<'a>(case: &Case<'a>, key: &str) -> Result<&'a Vec<Value>> {
    let list = member(case, key)?.as_array();
    list.with_context(|| format!("{key} is no list"))
}

fn optional_row(case: &Case<'_>) -> Result<Option<InstanceRow>> {
    let row = case.input.get("row").filter(|row| !row.is_null());
    row.map(row::read).transpose()
}

fn origin(case: &Case<'_>) -> Origin {
    let cluster = case.input.get("cluster").and_then(Value::as_str);
    let epoch = case.input.get("source_epoch").and_then(Value::as_i64);
    Origin::new(cluster.unwrap_or("c1")).with_epoch(epoch.unwrap_or(1))
}
