//! `lifecycle`: several passes against an API server, until nothing is left.

use std::collections::BTreeMap;

use anyhow::Context;
use gitpod_lifecycle::kube::Workspace;
use gitpod_lifecycle::{
    Condition, Count, Counted, GoDuration, Maintenance, Phase, Settings, observe, plan,
};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::input::{Scene, facts, maintenance, now, text, with_instants};
use super::phase::events;

pub(super) fn replay(fixtures: &Value, input: &Value, _expect: &Value) -> anyhow::Result<Value> {
    let scene = Scene::of(fixtures, input)?;
    let mut cluster = Cluster::new(scene.workspace, fixtures, input, now());
    cluster.nodes = scene.nodes;
    let mut run = Run {
        cluster,
        settings: scene.settings,
        maintenance: Maintenance::Off,
        counted: None,
        increments: BTreeMap::new(),
    };
    let steps = input["steps"].as_array().context("no steps")?;
    let steps = steps.iter().map(|step| run.step(step));
    let steps = steps.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(json!({"steps": steps, "metricIncrements": run.increments}))
}

struct Run {
    cluster: Cluster,
    settings: Settings,
    maintenance: Maintenance,
    counted: Option<Counted>,
    increments: BTreeMap<String, u32>,
}

impl Run {
    fn step(&mut self, step: &Value) -> anyhow::Result<Value> {
        self.change(step)?;
        self.cluster.events.clear();
        let mut phases: Vec<String> = Vec::new();
        for _ in 0..step["passes"].as_u64().unwrap_or(1) {
            self.pass()?;
            let phase = match &self.cluster.workspace {
                Some(workspace) => workspace.status.phase.clone(),
                None => "(gone)".to_owned(),
            };
            if phases.last() != Some(&phase) {
                phases.push(phase);
            }
        }
        Ok(json!({
            "name": step["name"],
            "phases": phases,
            "events": events(&self.cluster.events),
            "workspace": self.cluster.workspace.as_ref().map(workspace),
            "pod": self.cluster.pods.first().map(|pod| with_meta(&pod.metadata, json!({"name": pod.metadata.name}))),
            "secretCount": self.cluster.secrets.len(),
        }))
    }

    /// What others do to the cluster.
    fn change(&mut self, step: &Value) -> anyhow::Result<()> {
        let now = self.cluster.now;
        let cluster = &mut self.cluster;
        if let Some(on) = step.get("maintenance") {
            self.maintenance = maintenance(on);
        }
        let wait = step["waitMs"].as_i64().unwrap_or(0);
        cluster.now = now.checked_add(SignedDuration::from_millis(wait))?;
        cluster
            .nodes
            .retain(|node| node.metadata.name.as_deref() != step["deleteNode"].as_str());
        if let Some(workspace) = &mut cluster.workspace {
            if step["deleteWorkspace"] == json!(true) {
                workspace.metadata.deletion_timestamp = Some(Time(now));
            }
            for condition in step["conditions"].as_array().into_iter().flatten() {
                let condition: Condition = serde_json::from_value(with_instants(condition)?)?;
                workspace.status.conditions.set(condition);
            }
        }
        let Some(pod) = cluster.pods.first_mut() else {
            return Ok(());
        };
        if let Some(status) = step.get("podStatus") {
            pod.status = Some(serde_json::from_value(with_instants(status)?)?);
        }
        if let Some(node) = step["podNode"].as_str() {
            pod.spec.get_or_insert_with(PodSpec::default).node_name = Some(node.to_owned());
        }
        Ok(())
    }

    fn pass(&mut self) -> anyhow::Result<()> {
        let tick =
            SignedDuration::try_from("2ms".parse::<GoDuration>()?.to_std().unwrap_or_default())?;
        self.cluster.now = self.cluster.now.checked_add(tick)?;
        let Some(workspace) = &self.cluster.workspace else {
            return Ok(());
        };
        let (spec, status, now) = (
            workspace.to_spec()?,
            workspace.to_status()?,
            self.cluster.now,
        );
        let facts = facts(
            spec.instance.as_str(),
            &self.cluster.pods,
            &self.cluster.nodes,
            self.maintenance,
        );
        let seen = observe(&spec, &status, &facts, &self.settings, now);
        self.count(&seen.status);
        self.cluster.events.extend(seen.events);
        self.cluster.store(&seen.status, "status_update");
        if self.counted.is_none() {
            self.counted = Some(Counted::already(&seen.status, self.settings.rules));
        }
        self.cluster
            .execute(plan(&spec, &seen.status, &facts, &self.settings, now));
        let recreated =
            |workspace: &Workspace| workspace.status.pod_recreated > seen.status.runner_recreated;
        if self.cluster.workspace.as_ref().is_some_and(recreated) {
            self.counted = None;
        }
        Ok(())
    }

    fn count(&mut self, status: &gitpod_lifecycle::Status) {
        let Some(counted) = &mut self.counted else {
            return;
        };
        for count in counted.count(status, self.settings.rules) {
            *self.increments.entry(name_of(count)).or_default() += 1;
        }
        if status.phase == Phase::Stopped {
            self.counted = None;
        }
    }
}

pub(super) fn name_of(count: Count) -> String {
    let name = match count {
        Count::Start => "starts",
        Count::Pending => "pending",
        Count::Creating => "creating",
        Count::Failure => "failures",
        Count::Restore => "restores",
        Count::RestoreFailure => "restoreFailures",
        Count::Backup => "backups",
        Count::BackupFailure => "backupFailures",
        Count::StartFailure => "startFailures",
        Count::Stop(reason) => return format!("stops{{reason={}}}", reason.as_str()),
        _ => "unknown",
    };
    name.to_owned()
}

fn workspace(workspace: &Workspace) -> Value {
    let conditions = workspace.status.conditions.iter();
    let holding =
        conditions.filter(|condition| workspace.status.conditions.is_true(&condition.kind));
    let shown = json!({
        "phase": text(&json!(workspace.status.phase)),
        "podStarts": workspace.status.pod_starts,
        "podRecreated": workspace.status.pod_recreated,
        "trueConditions": holding.map(|condition| condition.kind.as_str()).collect::<Vec<_>>(),
    });
    with_meta(&workspace.metadata, shown)
}

fn with_meta(metadata: &ObjectMeta, mut shown: Value) -> Value {
    shown["deleting"] = json!(metadata.deletion_timestamp.is_some());
    shown["finalizers"] = json!(metadata.finalizers.iter().flatten().count());
    shown
}
