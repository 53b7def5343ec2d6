//! A pod read as a runner.

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1 as core;

use super::{API_VERSION, FINALIZER, KIND};
use crate::facts::{
    ContainerFacts, ContainerState, Facts, NodeState, RunnerFacts, RunnerPhase, Termination,
};

/// The facts that `pods` make, without those that another object controls.
///
/// Nodes are not looked up here: add what is known of them with
/// [`Facts::with_node`].
#[must_use]
pub fn facts_of<'a>(instance: &str, pods: impl IntoIterator<Item = &'a core::Pod>) -> Facts {
    let ours = pods
        .into_iter()
        .filter(|pod| is_controlled_by(pod, instance));
    Facts {
        runners: ours.map(runner_facts_of).collect(),
        ..Facts::default()
    }
}

/// Whether the `Workspace` resource of this name controls `pod`.
#[must_use]
pub fn is_controlled_by(pod: &core::Pod, instance: &str) -> bool {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    owners.any(|owner| {
        owner.controller == Some(true)
            && owner.kind == KIND
            && owner.api_version == API_VERSION
            && owner.name == instance
    })
}

/// What a pod says, in the words of the core.
#[must_use]
pub fn runner_facts_of(pod: &core::Pod) -> RunnerFacts {
    let empty = core::PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let metadata = &pod.metadata;
    let address =
        |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
    let grace = metadata
        .deletion_grace_period_seconds
        .map(|seconds| u64::try_from(seconds).unwrap_or(0));
    RunnerFacts {
        deleting_since: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        grace: grace.map(Duration::from_secs),
        held: metadata
            .finalizers
            .iter()
            .flatten()
            .any(|name| name == FINALIZER),
        reason: status.reason.clone().unwrap_or_default(),
        message: status.message.clone().unwrap_or_default(),
        node: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .filter(|name| !name.is_empty()),
        address: address(&status.pod_ip),
        host_address: address(&status.host_ip),
        containers: status
            .container_statuses
            .iter()
            .flatten()
            .map(container_of)
            .collect(),
        ..RunnerFacts::new(
            metadata.name.clone().unwrap_or_default(),
            phase_of(status.phase.as_deref().unwrap_or_default()),
        )
    }
}

fn phase_of(text: &str) -> RunnerPhase {
    match text {
        "Pending" => RunnerPhase::Pending,
        "Running" => RunnerPhase::Running,
        "Succeeded" => RunnerPhase::Succeeded,
        "Failed" => RunnerPhase::Failed,
        "" => RunnerPhase::Unset,
        _ => RunnerPhase::Unknown,
    }
}

fn container_of(status: &core::ContainerStatus) -> ContainerFacts {
    let last = status
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let mut facts = ContainerFacts::new(&*status.name, state_of(status.state.as_ref()));
    facts.ready = status.ready;
    facts.last_termination = last.map(termination_of);
    facts
}

fn state_of(state: Option<&core::ContainerState>) -> ContainerState {
    let Some(state) = state else {
        return ContainerState::Unset;
    };
    if let Some(ended) = &state.terminated {
        return ContainerState::Terminated(termination_of(ended));
    }
    if state.running.is_some() {
        return ContainerState::Running;
    }
    match &state.waiting {
        Some(waiting) => ContainerState::Waiting {
            reason: waiting.reason.clone().unwrap_or_default(),
            message: waiting.message.clone().unwrap_or_default(),
        },
        None => ContainerState::Unset,
    }
}

fn termination_of(ended: &core::ContainerStateTerminated) -> Termination {
    Termination {
        exit_code: ended.exit_code,
        reason: ended.reason.clone().unwrap_or_default(),
        message: ended.message.clone().unwrap_or_default(),
    }
}

/// What a lookup of a node says: `None` if it was not found.
#[must_use]
pub fn node_state_of(node: Option<&core::Node>) -> NodeState {
    let Some(node) = node else {
        return NodeState::Gone;
    };
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    match taints {
        Some(taints) if !taints.is_empty() => NodeState::Tainted,
        _ => NodeState::Present,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(json: serde_json::Value) -> core::Pod {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn pod_is_read_in_the_words_of_the_core() {
        let facts = runner_facts_of(&pod(json!({
            "metadata": {
                "name": "ws-i1",
                "deletionTimestamp": "2026-11-21T12:00:00Z",
                "deletionGracePeriodSeconds": 30,
                "finalizers": ["acme.io/x", "gitpod.io/finalizer"],
            },
            "spec": {"nodeName": "n1", "containers": []},
            "status": {
                "phase": "Running",
                "podIP": "10.0.0.1",
                "hostIP": "fe80::1",
                "containerStatuses": [{
                    "name": "workspace",
                    "ready": true,
                    "state": {"running": {}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }],
            },
        })));
        let mut expected = RunnerFacts::running("ws-i1", true).held();
        expected.deleting_since = Some("2026-11-21T12:00:00Z".parse().unwrap());
        expected.grace = Some(Duration::from_secs(30));
        expected.node = Some("n1".to_owned());
        expected.address = Some("10.0.0.1".parse().unwrap());
        expected.host_address = Some("fe80::1".parse().unwrap());
        let mut last = Termination::exited(137, "");
        last.reason = "OOMKilled".to_owned();
        expected.containers[0].last_termination = Some(last);
        assert_eq!(facts, expected);
    }

    #[test]
    fn pod_without_status_says_nothing_yet() {
        let facts = runner_facts_of(&pod(json!({"metadata": {"name": "ws-i1"}})));
        assert_eq!(facts, RunnerFacts::new("ws-i1", RunnerPhase::Unset));
    }

    #[test]
    fn only_the_controller_counts_as_owner() {
        let owned_by = |owner: serde_json::Value| {
            is_controlled_by(
                &pod(json!({"metadata": {"ownerReferences": [owner]}})),
                "i1",
            )
        };
        let ours = json!({"apiVersion": API_VERSION, "kind": KIND, "name": "i1", "uid": "u", "controller": true});
        assert!(owned_by(ours.clone()));
        for (key, other) in [
            ("controller", json!(false)),
            ("name", json!("i2")),
            ("kind", json!("Deployment")),
            ("apiVersion", json!("workspace.gitpod.io/v2")),
        ] {
            let mut owner = ours.clone();
            owner[key] = other;
            assert!(!owned_by(owner), "{key}");
        }
    }
}
