//! An API server that keeps objects in memory, with finalizers as on Kubernetes.

use std::time::Duration;

use gitpod_lifecycle::kube::{API_VERSION, FINALIZER, KIND, Workspace};
use gitpod_lifecycle::{Action, Event, LookAgain, Plan};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde_json::{Value, json};

use super::input::text;

/// Objects of one instance, and what was done to them.
pub(super) struct Cluster {
    pub(super) workspace: Option<Workspace>,
    pub(super) pods: Vec<Pod>,
    /// Exist, but are not listed.
    pub(super) unlisted: Vec<Pod>,
    pub(super) nodes: Vec<Node>,
    /// Namespace and name.
    pub(super) secrets: Vec<(String, String)>,
    pub(super) secrets_namespace: String,
    /// Listed, but gone.
    pub(super) pod_is_missing: bool,
    pub(super) now: Timestamp,
    pub(super) ops: Vec<Value>,
    pub(super) events: Vec<Event>,
}

impl Cluster {
    pub(super) fn new(
        workspace: Workspace,
        fixtures: &Value,
        input: &Value,
        now: Timestamp,
    ) -> Self {
        let secrets = input["secrets"].as_array().into_iter().flatten();
        let named = |secret: &Value| {
            let metadata = &secret["metadata"];
            (
                text(&metadata["namespace"]).to_owned(),
                text(&metadata["name"]).to_owned(),
            )
        };
        Self {
            workspace: Some(workspace),
            pods: Vec::new(),
            unlisted: Vec::new(),
            nodes: Vec::new(),
            secrets: secrets.map(named).collect(),
            secrets_namespace: text(&fixtures["defaults"]["config"]["secretsNamespace"]).to_owned(),
            pod_is_missing: input["podMissing"] == json!(true),
            now,
            ops: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Does what is planned; says when to look again.
    pub(super) fn execute(&mut self, plan: Plan) -> LookAgain {
        let mut again = plan.look_again;
        for action in plan.actions {
            match action {
                Action::CreateRunner { name, when_created } => {
                    if self.create(&name) {
                        self.store(&when_created, "status_patch");
                        self.events.push(Event::Creating);
                    }
                }
                Action::DeleteRunner { name, grace } => {
                    if !self.delete(&name, grace) {
                        again = LookAgain::WhenChanged;
                    }
                }
                Action::ReleaseRunner { name } => self.release(&name),
                Action::DropSecrets => self.drop_secrets(),
                Action::StoreStatus { status, event } => {
                    self.store(&status, "status_update");
                    self.events.extend(event);
                }
                Action::ForgetInstance => self.forget(),
                other => unreachable!("{other:?} is new"),
            }
        }
        again
    }

    fn create(&mut self, name: &str) -> bool {
        let mut all = self.pods.iter().chain(&self.unlisted);
        if all.any(|pod| pod.metadata.name.as_deref() == Some(name)) {
            self.op("create_exists", "Pod", name);
            return false;
        }
        let owner = OwnerReference {
            api_version: API_VERSION.into(),
            kind: KIND.into(),
            name: self.instance(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(name.into()),
            finalizers: Some(vec![FINALIZER.into()]),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let status = PodStatus {
            phase: Some("Pending".into()),
            ..PodStatus::default()
        };
        self.pods.push(Pod {
            metadata,
            status: Some(status),
            ..Pod::default()
        });
        self.op("create", "Pod", name);
        true
    }

    fn delete(&mut self, name: &str, grace: Option<Duration>) -> bool {
        if self.pod_is_missing {
            return false;
        }
        let now = Time(self.now);
        let Some(pod) = self.pod(name) else {
            return false;
        };
        pod.metadata.deletion_timestamp.get_or_insert(now);
        self.op("delete", "Pod", name);
        if let (Some(grace), Some(op)) = (grace, self.ops.last_mut()) {
            op["gracePeriodSeconds"] = json!(grace.as_secs());
        }
        self.collect_garbage();
        true
    }

    fn release(&mut self, name: &str) {
        let Some(pod) = self.pod(name) else {
            return;
        };
        let left = without_ours(&mut pod.metadata);
        self.op("update", "Pod", name);
        if let Some(op) = self.ops.last_mut() {
            op["finalizers"] = json!(left);
        }
        self.collect_garbage();
    }

    fn drop_secrets(&mut self) {
        let instance = self.instance();
        let env = ("default".to_owned(), format!("{instance}-env"));
        let tokens = (self.secrets_namespace.clone(), format!("{instance}-tokens"));
        for secret in [env, tokens] {
            let Some(at) = self.secrets.iter().position(|known| *known == secret) else {
                continue;
            };
            self.secrets.remove(at);
            let (namespace, name) = secret;
            self.ops.push(
                json!({"op": "delete", "kind": "Secret", "namespace": namespace, "name": name}),
            );
        }
    }

    fn forget(&mut self) {
        let name = self.instance();
        let Some(workspace) = &mut self.workspace else {
            return;
        };
        let left = without_ours(&mut workspace.metadata);
        self.op("update", "Workspace", &name);
        if let Some(op) = self.ops.last_mut() {
            op["finalizers"] = json!(left);
        }
        self.events.push(Event::Deleting);
        self.op("delete", "Workspace", &name);
        self.workspace = None;
    }

    pub(super) fn store(&mut self, status: &gitpod_lifecycle::Status, op: &str) {
        if let Some(workspace) = &mut self.workspace {
            workspace.set_status(status);
        }
        let name = self.instance();
        self.op(op, "Workspace", &name);
    }

    fn pod(&mut self, name: &str) -> Option<&mut Pod> {
        self.pods
            .iter_mut()
            .find(|pod| pod.metadata.name.as_deref() == Some(name))
    }

    fn collect_garbage(&mut self) {
        self.pods.retain(|pod| {
            let held = pod.metadata.finalizers.iter().flatten().next().is_some();
            held || pod.metadata.deletion_timestamp.is_none()
        });
    }

    fn instance(&self) -> String {
        let name = self
            .workspace
            .as_ref()
            .and_then(|workspace| workspace.metadata.name.clone());
        name.unwrap_or_default()
    }

    fn op(&mut self, op: &str, kind: &str, name: &str) {
        self.ops
            .push(json!({"op": op, "kind": kind, "name": name, "namespace": "default"}));
    }
}

/// Takes our finalizer away; gives the ones that are left.
fn without_ours(metadata: &mut ObjectMeta) -> Vec<String> {
    let finalizers = metadata.finalizers.get_or_insert_default();
    finalizers.retain(|name| name != FINALIZER);
    finalizers.clone()
}
