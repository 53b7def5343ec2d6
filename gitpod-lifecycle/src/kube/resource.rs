//! The `Workspace` resource: one per instance.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::conditions::Conditions;
use crate::duration::GoDuration;
use crate::spec::WorkspaceKind;
use crate::status::{GitStatus, ImageInfo, InitializerMetrics};

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
