//! `rpc`: one call of `wsman.WorkspaceManager`.
//!
//! ```text
//! case ─ workspaces → records ─► Manager ◄─ service ◄─ client ◄─ request
//! ```
//!
//! Compared are code, text, answer, and what the call left in the records. What
//! it wrote where on Kubernetes (effects, labels, finalizers, secrets) is not:
//! nothing of that exists here. Nothing is reconciled, since the platform is out
//! of reach all the time.

mod answer;
mod request;

use anyhow::{Context, bail};
use async_trait::async_trait;
use gitpod_lifecycle::grpc::client::{self, WorkspaceManagerClient};
use gitpod_lifecycle::grpc::{Policy, ResourceClass, WorkspaceManagerService};
use gitpod_lifecycle::kube::Workspace;
use gitpod_lifecycle::{
    Adapters, ChangeFeed, Changes, Clock, Cluster, ClusterError, Created, Facts, Manager,
    MemoryRecords, NoContent, Records, Spec,
};
use gitpod_routing::InstanceId;
use serde_json::{Map, Value, json};

use self::answer::{Answer, record_of};
use super::input::{maintenance, overlaid, overlay, settings, text};
use crate::vectors::outcome::Outcome;

pub(super) type Client = WorkspaceManagerClient<WorkspaceManagerService>;

pub(super) fn replay(fixtures: &Value, case: &Value) -> Outcome {
    let (input, expect) = (&case["input"], &case["expect"]);
    if let Some(why) = beyond(input) {
        return Outcome::Skipped(why.to_owned());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let got = runtime
        .context("runtime")
        .and_then(|runtime| runtime.block_on(call(fixtures, input, expect)));
    let expected = comparable(expect);
    match got {
        Ok(got) if super::agrees(&expected, &got) => Outcome::Same,
        Ok(got) => Outcome::Differs { expected, got },
        Err(why) => Outcome::Differs {
            expected,
            got: json!({ "cannot be replayed": format!("{why:#}") }),
        },
    }
}

/// Why a case cannot be replayed without Kubernetes.
fn beyond(input: &Value) -> Option<&'static str> {
    match text(&input["rpc"]) {
        "DescribeCluster" => {
            Some("classes are given to the service as they are told, not made of quantities")
        }
        "TakeSnapshot" if !input["snapshotStatus"].is_null() => {
            Some("snapshots need a content store that takes them")
        }
        _ => None,
    }
}

async fn call(fixtures: &Value, input: &Value, expect: &Value) -> anyhow::Result<Value> {
    let defaults = &fixtures["defaults"];
    let config = overlay(&defaults["config"], &input["config"]);
    // An object without time of creation counts as made in Go's year 1.
    let made = json!({"metadata": {"creationTimestamp": "0001-01-01T00:00:00Z"}});
    let base = overlay(&defaults["workspace"], &made);
    let records = MemoryRecords::new();
    for workspace in input["workspaces"].as_array().into_iter().flatten() {
        let workspace: Workspace = overlaid(&base, workspace)?;
        let (spec, status) = (workspace.to_spec()?, workspace.to_status()?);
        records.create(spec, status).await?;
    }
    let adapters = Adapters::new(records, OutOfReach::default(), NoContent::default());
    let manager = Manager::open(adapters, settings(&config)?, Clock::system()).await?;
    manager.set_maintenance(maintenance(&input["maintenance"]));
    let policy = Policy::reference(classes(&config["workspaceClass"])?);
    let service = WorkspaceManagerService::new(manager.clone()).with_policy(policy);
    let answer = request::send(client::over(service), input).await?;
    shown(answer, &manager, expect).await
}

/// All that can be compared.
async fn shown(answer: Answer, manager: &Manager, expect: &Value) -> anyhow::Result<Value> {
    let mut got = Map::from_iter([("code".to_owned(), json!(answer.code))]);
    if expect.get("message").is_some() || expect.get("messageContains").is_some() {
        got.insert("message".into(), json!(answer.message));
    }
    if let Some(response) = answer.response {
        got.insert("response".into(), response);
    }
    for (name, expected) in workspaces_of(expect) {
        let found = manager.describe(&name.parse()?).await;
        let record = found.map_or(Value::Null, |found| record_of(&found.record, &expected));
        got.insert(name, record);
    }
    Ok(Value::Object(got))
}

/// What of an expectation can be compared; each workspace under its own name.
fn comparable(expect: &Value) -> Value {
    let mut kept = Map::new();
    for key in ["code", "message", "messageContains", "response"] {
        if let Some(value) = expect.get(key) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(response) = kept.get_mut("response") {
        answer::level(response);
    }
    kept.extend(workspaces_of(expect));
    Value::Object(kept)
}

/// Name → what the records should hold of it.
fn workspaces_of(expect: &Value) -> Vec<(String, Value)> {
    let objects = expect["objects"].as_object().into_iter().flatten();
    let workspaces = objects.filter_map(|(path, object)| {
        let name = path.strip_prefix("Workspace/default/")?;
        Some((name.to_owned(), answer::known_part(object)))
    });
    workspaces.collect()
}

fn classes(config: &Value) -> anyhow::Result<Vec<ResourceClass>> {
    let all = config.as_object().into_iter().flatten();
    all.map(|(id, class)| {
        let limits = &class["container"]["limits"];
        let mut made = ResourceClass::new(id, text(&class["name"]));
        if let Some(size) = limits["storage"].as_str() {
            made = made.with_storage_quota(bytes(size)?);
        }
        let annotations = [
            ("gitpod.io/cpuMinLimit", "min"),
            ("gitpod.io/cpuBurstLimit", "burst"),
        ];
        for (annotation, key) in annotations {
            let limit = text(&limits["cpu"][key]);
            if !limit.is_empty() {
                made = made.with_annotation(annotation, limit);
            }
        }
        Ok(made)
    })
    .collect()
}

/// The few quantities that the cases use.
fn bytes(quantity: &str) -> anyhow::Result<u64> {
    let (number, unit) = match quantity.strip_suffix("Gi") {
        Some(number) => (number, 1 << 30),
        None => match quantity.strip_suffix('G') {
            Some(number) => (number, 1_000_000_000),
            None => bail!("quantity {quantity} is not known here"),
        },
    };
    Ok(number.parse::<u64>()? * unit)
}

/// A platform that does not answer.
#[derive(Debug, Default)]
struct OutOfReach(ChangeFeed);

fn out_of_reach<T>(what: &'static str) -> Result<T, ClusterError> {
    Err(ClusterError::unavailable(what, "it is out of reach"))
}

#[async_trait]
impl Cluster for OutOfReach {
    async fn facts(&self, _: &InstanceId) -> Result<Facts, ClusterError> {
        out_of_reach("look")
    }

    async fn create(&self, _: &Spec, _: &str) -> Result<Created, ClusterError> {
        out_of_reach("create")
    }

    async fn delete(
        &self,
        _: &InstanceId,
        _: &str,
        _: Option<std::time::Duration>,
    ) -> Result<(), ClusterError> {
        out_of_reach("delete")
    }

    async fn release(&self, _: &InstanceId, _: &str) -> Result<(), ClusterError> {
        out_of_reach("release")
    }

    fn changes(&self) -> Changes {
        self.0.changes()
    }
}
