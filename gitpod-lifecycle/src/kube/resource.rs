//! The `Workspace` resource: one per instance.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gitpod_routing::{Admission, IdError, Protocol, Visibility};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::condition::Conditions;
use crate::duration::GoDuration;
use crate::phase::{Phase, PhaseError};
use crate::spec::{
    ContentSource, EnvVar, GitIdentity, PortSpec, Spec, SpecTimeouts, WorkspaceKind, WorkspaceName,
};
use crate::status::{GitStatus, ImageInfo, InitializerMetrics, RunnerInfo, Status};

/// One instance, as the cluster keeps it.
///
/// Everything may be missing, since others write it too; what is missing is
/// empty. Fields of the status that are not known here survive a round trip.
///
/// **Source:** manager specification, sections 5.1 and 5.2.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Workspace {
    /// Group and version: [`API_VERSION`](super::API_VERSION).
    pub api_version: String,
    /// Kind: [`KIND`](super::KIND).
    pub kind: String,
    /// Name, labels, finalizers and times.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: WorkspaceSpec,
    /// What has come of it.
    pub status: WorkspaceStatus,
}

/// What is wanted of an instance.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct WorkspaceSpec {
    /// Whose it is.
    pub ownership: Ownership,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: WorkspaceKind,
    /// Which class of resources it gets.
    pub class: String,
    /// Images it consists of.
    pub image: Image,
    /// Where its files come from, as protobuf.
    pub initializer: Option<ByteString>,
    /// Variables that its user asked for.
    pub user_env_vars: Vec<core::EnvVar>,
    /// Variables that the installation sets.
    pub sys_env_vars: Vec<core::EnvVar>,
    /// Which directory an IDE opens.
    pub workspace_location: String,
    /// Whose name commits carry.
    pub git: Option<Git>,
    /// Limits of its own.
    pub timeout: Timeout,
    /// Whom it admits.
    pub admission: AdmissionSpec,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Keys that may log in over SSH.
    pub ssh_public_keys: Vec<String>,
    /// Most bytes that its content may take.
    pub storage_quota: Option<u64>,
    /// Key of the authority that signs users' SSH keys.
    #[serde(rename = "sshGatewayCAPublicKey")]
    pub ssh_gateway_ca_public_key: String,
}

/// Whose an instance is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Ownership {
    /// User id.
    pub owner: String,
    /// Name of the workspace, the same in each of its runs.
    #[serde(rename = "workspaceID")]
    pub workspace_id: String,
}

/// Images of an instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Image {
    /// The user's own.
    pub workspace: ImageRef,
    /// The IDE's.
    pub ide: Ide,
}

/// Name of an image.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ImageRef {
    /// Its name.
    #[serde(rename = "ref")]
    pub reference: String,
}

/// Images of an IDE.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Ide {
    /// Of its server.
    pub web: String,
    /// Of the supervisor.
    pub supervisor: String,
    /// More layers.
    pub refs: Vec<String>,
}

/// Whose name commits carry.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Git {
    /// `user.name`.
    pub username: String,
    /// `user.email`.
    pub email: String,
}

/// Limits of one instance, as Go durations.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Timeout {
    /// Without use.
    pub time: Option<GoDuration>,
    /// After its last window was closed.
    pub closed: Option<GoDuration>,
    /// All in all.
    pub maximum_lifetime: Option<GoDuration>,
}

/// Whom an instance admits.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AdmissionSpec {
    /// `Owner` or `Everyone`.
    pub level: String,
}

/// One port of an instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Port {
    /// Which one.
    pub port: i32,
    /// `Owner` or `Everyone`.
    pub visibility: String,
    /// `Http` or `Https`.
    pub protocol: String,
}

/// What has come of an instance.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct WorkspaceStatus {
    /// How many pods were created so far.
    pub pod_starts: u32,
    /// How many of them because a machine refused the one before.
    pub pod_recreated: u32,
    /// When it was first seen stopped and without pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_deletion_time: Option<Timestamp>,
    /// When it last became `Stopping`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_stopping_time: Option<Timestamp>,
    /// Where it is reached.
    pub url: String,
    /// Proves its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_token: Option<crate::Token>,
    /// How far it has come.
    pub phase: String,
    /// What else has happened.
    pub conditions: Conditions,
    /// Where its snapshot is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// What git says of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitStatus>,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// When somebody last used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<Timestamp>,
    /// How large its image is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_info: Option<ImageInfo>,
    /// How long its content took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initializer_metrics: Option<InitializerMetrics>,
    /// What others keep here.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The pod of an instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Runtime {
    /// Its node.
    pub node_name: String,
    /// Its name.
    pub pod_name: String,
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// Address of its node.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
}

/// A `Workspace` resource that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Its name is not a DNS label.
    #[error("name of the workspace resource is no instance id")]
    Name(#[source] IdError),
    /// Its phase does not exist.
    #[error("workspace resource has an unknown phase")]
    Phase(#[source] PhaseError),
    /// One of its limits is negative.
    #[error("workspace resource has a negative timeout")]
    NegativeTimeout,
    /// One of its ports is not between 1 and 65535.
    #[error("workspace resource has port {0}, which is not between 1 and 65535")]
    Port(i32),
}

impl Workspace {
    /// What is wanted, in the words of the core.
    ///
    /// Variables whose value is kept elsewhere (`valueFrom`) are left out: they
    /// are only resolved inside the cluster.
    ///
    /// # Errors
    ///
    /// [`ResourceError`] if a field holds what the schema does not allow.
    pub fn to_spec(&self) -> Result<Spec, ResourceError> {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let instance = name.parse().map_err(ResourceError::Name)?;
        let workspace = WorkspaceName::from(&*self.spec.ownership.workspace_id);
        let created_at = self
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let mut spec = Spec::new(instance, workspace, created_at);
        spec.owner.clone_from(&self.spec.ownership.owner);
        spec.kind = self.spec.kind;
        spec.class.clone_from(&self.spec.class);
        spec.image = self.spec.image.to_core();
        spec.content = self.spec.content();
        spec.location.clone_from(&self.spec.workspace_location);
        spec.env = self.spec.env();
        spec.timeouts = self.spec.timeout.to_core()?;
        spec.admission = match self.spec.admission.level.as_str() {
            "Everyone" => Admission::Everyone,
            _ => Admission::Owner,
        };
        spec.ports = self
            .spec
            .ports
            .iter()
            .map(Port::to_core)
            .collect::<Result<_, _>>()?;
        spec.ssh_public_keys.clone_from(&self.spec.ssh_public_keys);
        spec.storage_quota = self.spec.storage_quota;
        let identity = |git: &Git| GitIdentity::new(&*git.username, &*git.email);
        spec.git_identity = self.spec.git.as_ref().map(identity);
        spec.annotations = self.metadata.annotations.clone().unwrap_or_default();
        spec.deletion_requested_at = self.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        Ok(spec)
    }

    /// What has come of it, in the words of the core.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Phase`] if its phase does not exist.
    pub fn to_status(&self) -> Result<Status, ResourceError> {
        let known = &self.status;
        let mut status = Status::new();
        status.phase = known.phase.parse::<Phase>().map_err(ResourceError::Phase)?;
        status.conditions = known.conditions.clone();
        status.url.clone_from(&known.url);
        status.owner_token = known
            .owner_token
            .clone()
            .filter(|token| !token.expose().is_empty());
        status.runner = known
            .runtime
            .as_ref()
            .map(Runtime::to_core)
            .unwrap_or_default();
        status.runner_starts = known.pod_starts;
        status.runner_recreated = known.pod_recreated;
        status.runner_deletion_time = known.pod_deletion_time;
        status.stopping_time = known.pod_stopping_time;
        status.last_activity = known.last_activity;
        status.snapshot.clone_from(&known.snapshot);
        status.git.clone_from(&known.git);
        status.initializer_metrics = known.initializer_metrics;
        status.image_info.clone_from(&known.image_info);
        Ok(status)
    }

    /// Puts `status` in the place of what is known here; what others keep stays.
    pub fn set_status(&mut self, status: &Status) {
        let known = &mut self.status;
        known.phase = status.phase.as_str().to_owned();
        known.conditions = status.conditions.clone();
        known.url.clone_from(&status.url);
        known.owner_token.clone_from(&status.owner_token);
        known.runtime = Runtime::of(&status.runner);
        known.pod_starts = status.runner_starts;
        known.pod_recreated = status.runner_recreated;
        known.pod_deletion_time = status.runner_deletion_time;
        known.pod_stopping_time = status.stopping_time;
        known.last_activity = status.last_activity;
        known.snapshot.clone_from(&status.snapshot);
        known.git.clone_from(&status.git);
        known.initializer_metrics = status.initializer_metrics;
        known.image_info.clone_from(&status.image_info);
    }

    /// Which change of the resource this is; 0 if its version is not a number.
    #[must_use]
    pub fn version(&self) -> u64 {
        let version = self
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default();
        version.parse().unwrap_or(0)
    }
}

impl WorkspaceSpec {
    fn content(&self) -> ContentSource {
        match &self.initializer {
            Some(bytes) if !bytes.0.is_empty() => ContentSource::Initializer(bytes.0.clone()),
            _ => ContentSource::Empty,
        }
    }

    fn env(&self) -> Vec<EnvVar> {
        let all = self.sys_env_vars.iter().chain(&self.user_env_vars);
        let with_value = all.filter_map(|var| Some(EnvVar::new(&*var.name, var.value.as_deref()?)));
        with_value.collect()
    }
}

impl Image {
    fn to_core(&self) -> crate::spec::Image {
        crate::spec::Image {
            workspace: self.workspace.reference.clone(),
            ide_web: self.ide.web.clone(),
            supervisor: self.ide.supervisor.clone(),
            ide_layers: self.ide.refs.clone(),
        }
    }
}

impl Timeout {
    fn to_core(&self) -> Result<SpecTimeouts, ResourceError> {
        let limit = |own: Option<GoDuration>| -> Result<Option<Duration>, ResourceError> {
            own.map(|own| own.to_std().ok_or(ResourceError::NegativeTimeout))
                .transpose()
        };
        Ok(SpecTimeouts {
            inactivity: limit(self.time)?,
            closed: limit(self.closed)?,
            lifetime: limit(self.maximum_lifetime)?,
        })
    }
}

impl Port {
    fn to_core(&self) -> Result<PortSpec, ResourceError> {
        let number = u16::try_from(self.port).ok().filter(|number| *number > 0);
        let mut port = PortSpec::new(number.ok_or(ResourceError::Port(self.port))?);
        if self.visibility == "Everyone" {
            port.visibility = Visibility::Public;
        }
        if self.protocol == "Https" {
            port.protocol = Protocol::Https;
        }
        Ok(port)
    }
}

impl Runtime {
    fn to_core(&self) -> RunnerInfo {
        RunnerInfo {
            node: self.node_name.clone(),
            name: self.pod_name.clone(),
            address: self.pod_ip.parse().ok(),
            host_address: self.host_ip.parse().ok(),
        }
    }

    fn of(runner: &RunnerInfo) -> Option<Self> {
        let text = |address: Option<IpAddr>| {
            address
                .map(|address| address.to_string())
                .unwrap_or_default()
        };
        let known = *runner != RunnerInfo::default();
        known.then(|| Self {
            node_name: runner.node.clone(),
            pod_name: runner.name.clone(),
            pod_ip: text(runner.address),
            host_ip: text(runner.host_address),
        })
    }
}
