//! From the input of a case to what the core takes.

use std::time::Duration;

use anyhow::{Context, bail};
use gitpod_lifecycle::kube::{self, Workspace};
use gitpod_lifecycle::{
    Facts, GoDuration, Maintenance, Recreation, Rules, Settings, Timeouts, Token,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// When all cases take place.
pub(super) fn now() -> Timestamp {
    Timestamp::constant(1_790_000_000, 0)
}

/// What the cases put together the same way.
pub(super) struct Scene {
    pub(super) workspace: Workspace,
    pub(super) pods: Vec<Pod>,
    pub(super) unlisted_pods: Vec<Pod>,
    pub(super) nodes: Vec<Node>,
    pub(super) maintenance: Maintenance,
    pub(super) settings: Settings,
}

impl Scene {
    pub(super) fn of(fixtures: &Value, input: &Value) -> anyhow::Result<Self> {
        let defaults = &fixtures["defaults"];
        let mut settings = settings(&overlay(&defaults["config"], &input["config"]))?;
        if input["rules"] == json!("improved") {
            settings.rules = Rules::Improved; // asked for by our own test only
        }
        Ok(Self {
            workspace: overlaid(&defaults["workspace"], &input["workspace"])?,
            pods: all_overlaid(&defaults["pod"], &input["pods"])?,
            unlisted_pods: all_overlaid(&defaults["pod"], &input["unlistedPods"])?,
            nodes: all_overlaid(&json!({}), &input["nodes"])?,
            maintenance: maintenance(&input["maintenance"]),
            settings,
        })
    }

    /// The facts that the pods and nodes make.
    pub(super) fn facts(&self) -> Facts {
        let name = self.workspace.metadata.name.as_deref().unwrap_or_default();
        facts(name, &self.pods, &self.nodes, self.maintenance)
    }
}

/// The facts that `pods` make where only `nodes` exist.
pub(super) fn facts(
    instance: &str,
    pods: &[Pod],
    nodes: &[Node],
    maintenance: Maintenance,
) -> Facts {
    let mut facts = kube::facts_of(instance, pods)
        .with_maintenance(maintenance)
        .with_fresh_token(Token::random());
    let named = facts
        .runners
        .iter()
        .filter_map(|runner| runner.node.clone());
    for name in named.collect::<Vec<_>>() {
        let found = nodes
            .iter()
            .find(|node| node.metadata.name.as_ref() == Some(&name));
        facts = facts.with_node(name, kube::node_state_of(found));
    }
    facts
}

pub(super) fn maintenance(on: &Value) -> Maintenance {
    match on {
        Value::Bool(true) => Maintenance::On,
        _ => Maintenance::Off,
    }
}

fn all_overlaid<T: DeserializeOwned>(base: &Value, list: &Value) -> anyhow::Result<Vec<T>> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| overlaid(base, item)).collect()
}

pub(super) fn overlaid<T: DeserializeOwned>(base: &Value, over: &Value) -> anyhow::Result<T> {
    let value = with_instants(&overlay(base, over))?;
    serde_json::from_value(value).context("object of the case cannot be read")
}

/// `over` deeply merged over `base`; null deletes a key, lists replace.
pub(super) fn overlay(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (base, Value::Null) => base.clone(),
        (Value::Object(base), Value::Object(over)) => Value::Object(merged(base, over)),
        (_, over) => over.clone(),
    }
}

fn merged(base: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    for (key, value) in over {
        if value.is_null() {
            merged.remove(key);
        } else {
            let below = merged.get(key).unwrap_or(&Value::Null);
            let above = overlay(below, value);
            merged.insert(key.clone(), above);
        }
    }
    merged
}

/// With each `{"ago": "10m"}` replaced by the instant it stands for.
pub(super) fn with_instants(value: &Value) -> anyhow::Result<Value> {
    Ok(match value {
        Value::Object(object) => match (object.len(), object.get("ago")) {
            (1, Some(Value::String(ago))) => json!(instant(ago)?),
            _ => {
                let items = object
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), with_instants(value)?)));
                Value::Object(items.collect::<anyhow::Result<_>>()?)
            }
        },
        Value::Array(items) => {
            let items = items.iter().map(with_instants);
            Value::Array(items.collect::<anyhow::Result<_>>()?)
        }
        other => other.clone(),
    })
}

fn instant(ago: &str) -> anyhow::Result<Timestamp> {
    let ago: GoDuration = ago.parse()?;
    Ok(now().checked_sub(SignedDuration::from_nanos(ago.as_nanos()))?)
}

/// The manager section of a configuration, as far as the core needs it.
pub(super) fn settings(config: &Value) -> anyhow::Result<Settings> {
    let template = |key: &str| {
        text(&config[key])
            .parse()
            .with_context(|| format!("{key} is broken"))
    };
    // Upstream leaves out ports whose template is broken; ours refuses such a template.
    let mut settings = Settings::new(template("urlTemplate")?, template("portUrlTemplate")?);
    let limits = &config["timeouts"];
    let mut timeouts = Timeouts::default();
    timeouts.initialization = duration(&limits["initialization"])?;
    timeouts.startup = duration(&limits["startup"])?;
    timeouts.inactivity = duration(&limits["regularWorkspace"])?;
    timeouts.lifetime = duration(&limits["maxLifetime"])?;
    timeouts.headless = duration(&limits["headlessWorkspace"])?;
    timeouts.after_closed = duration(&limits["afterClose"])?;
    timeouts.content_finalization = duration(&limits["contentFinalization"])?;
    timeouts.stopping = duration(&limits["stopping"])?;
    settings.timeouts = timeouts;
    settings.heartbeat_interval = duration(&config["heartbeatInterval"])?;
    settings.host_url = text(&config["hostURL"]).to_owned();
    let retries = config["podRecreationMaxRetries"].as_u64().unwrap_or(0);
    let backoff = duration(&config["podRecreationBackoff"])?;
    settings.recreation = Recreation::new(u32::try_from(retries)?, backoff);
    settings.rules = Rules::Reference;
    Ok(settings)
}

/// A duration as configurations write it: Go text, or nanoseconds; absent is zero.
fn duration(value: &Value) -> anyhow::Result<Duration> {
    let parsed = match value {
        Value::Null => GoDuration::default(),
        Value::Number(nanos) => GoDuration::from_nanos(nanos.as_i64().context("too long")?),
        Value::String(text) => text.parse()?,
        other => bail!("{other} is no duration"),
    };
    parsed.to_std().context("negative duration")
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
