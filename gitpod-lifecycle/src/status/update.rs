//! What subscribers are told: the status of one instance as it goes over the wire.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{GitStatus, InitializerMetrics};
use crate::token::Token;

/// The whole status of one instance at one moment.
///
/// Never a difference to an earlier one. Of two updates for one instance from
/// one source, the one with the larger [`status_version`](Self::status_version)
/// is newer; versions of two sources cannot be compared.
///
/// **Source:** `wsman.WorkspaceStatus`, field by field. It holds text where the
/// wire holds text, so that what another manager sent is kept as it is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StatusUpdate {
    /// Name of the instance.
    pub id: String,
    /// Whose it is.
    pub metadata: UpdateMetadata,
    /// How it was asked for.
    pub spec: UpdateSpec,
    /// How far it has come.
    pub phase: UpdatePhase,
    /// What else has happened.
    pub conditions: UpdateConditions,
    /// Not used by the reference system.
    pub message: String,
    /// What git says of its content.
    pub repo: Option<GitStatus>,
    /// Its runner, once it has one.
    pub runtime: Option<UpdateRuntime>,
    /// Who may use it.
    pub auth: UpdateAuth,
    /// Which change of the instance this is; 0 if that is not known.
    pub status_version: u64,
    /// How long its content took.
    pub initializer_metrics: Option<InitializerMetrics>,
}

impl StatusUpdate {
    /// Of instance `id`, in phase `phase`; all else is empty.
    #[must_use]
    pub fn new(id: impl Into<String>, phase: UpdatePhase) -> Self {
        Self {
            id: id.into(),
            phase,
            ..Self::default()
        }
    }
}

/// Whose an instance is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateMetadata {
    /// User id of its owner.
    pub owner: String,
    /// Name of the workspace, the same in each of its runs.
    pub meta_id: String,
    /// When it was created.
    pub started_at: Option<Timestamp>,
    /// Notes of its creator.
    pub annotations: BTreeMap<String, String>,
    /// Team of its owner.
    pub team: Option<String>,
    /// Project that it belongs to.
    pub project: Option<String>,
    /// How large its image is.
    pub image: Option<UpdateImageInfo>,
}

/// How large an image is, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateImageInfo {
    /// All of it.
    pub total_size: i64,
    /// The user's own part.
    pub workspace_image_size: i64,
}

impl UpdateImageInfo {
    /// `total_size` bytes, of them `workspace_image_size` the user's own.
    #[must_use]
    pub fn new(total_size: i64, workspace_image_size: i64) -> Self {
        Self {
            total_size,
            workspace_image_size,
        }
    }
}

/// How an instance was asked for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateSpec {
    /// The user's own image.
    pub workspace_image: String,
    /// Whether nobody looks at it while it runs.
    pub headless: bool,
    /// Where it is reached; empty before that is known.
    pub url: String,
    /// Its ports.
    pub exposed_ports: Vec<UpdatePort>,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: UpdateKind,
    /// How long nobody may use it before it stops, as a Go duration.
    pub timeout: String,
    /// Image of the IDE's server.
    pub ide_web_image: String,
    /// Image of the supervisor.
    pub supervisor_image: String,
    /// Which class of resources it has.
    pub class: String,
    /// More layers of the IDE.
    pub ide_image_layers: Vec<String>,
    /// How long it goes on after its last window was closed, as a Go duration.
    pub closed_timeout: String,
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum UpdateKind {
    /// Somebody works in it.
    #[default]
    Regular,
    /// Its content is kept for others to start from.
    Prebuild,
    /// It builds an image.
    #[serde(rename = "IMAGEBUILD")]
    ImageBuild,
    /// A number that this version does not know.
    Other(i32),
}

/// One port of an instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdatePort {
    /// Which one. Others may send what is no port.
    pub port: u32,
    /// Who may use it.
    pub visibility: UpdateVisibility,
    /// Where it is reached.
    pub url: String,
    /// What its server speaks.
    pub protocol: UpdateProtocol,
}

impl UpdatePort {
    /// Port `port` at `url`, for the owner only, speaking HTTP.
    #[must_use]
    pub fn new(port: u32, url: impl Into<String>) -> Self {
        Self {
            port,
            url: url.into(),
            ..Self::default()
        }
    }
}

/// Who may use a port.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum UpdateVisibility {
    /// The owner.
    #[default]
    #[serde(rename = "PORT_VISIBILITY_PRIVATE")]
    Private,
    /// Everyone.
    #[serde(rename = "PORT_VISIBILITY_PUBLIC")]
    Public,
    /// A number that this version does not know.
    Other(i32),
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum UpdateProtocol {
    /// HTTP/1.1 in the clear.
    #[default]
    #[serde(rename = "PORT_PROTOCOL_HTTP")]
    Http,
    /// HTTP/1.1 over TLS.
    #[serde(rename = "PORT_PROTOCOL_HTTPS")]
    Https,
    /// A number that this version does not know.
    Other(i32),
}

/// How far an instance has come, as the wire says it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum UpdatePhase {
    /// Its state cannot be told.
    #[default]
    Unknown,
    /// Asked for; no runner works for it yet.
    Pending,
    /// Its runner is being created.
    Creating,
    /// Its runner is up; its content or its IDE is not.
    Initializing,
    /// It can be used.
    Running,
    /// On its way out.
    Stopping,
    /// Nothing of it runs.
    Stopped,
    /// Its runner is out of reach for the moment. Not sent by the reference system.
    Interrupted,
    /// A number that this version does not know.
    Other(i32),
}

/// Whether something holds, as the wire says it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum UpdateBool {
    /// It does not hold.
    #[default]
    False,
    /// It holds.
    True,
    /// Not stated. Not sent by the reference system.
    Empty,
    /// A number that this version does not know.
    Other(i32),
}

impl From<bool> for UpdateBool {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What has happened to an instance.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateConditions {
    /// How it has failed; empty if it has not.
    pub failed: String,
    /// Which limit it has reached; empty if none.
    pub timeout: String,
    /// Whether its images are being fetched.
    pub pulling_images: UpdateBool,
    /// Where its snapshot is; empty if it has none.
    pub snapshot: String,
    /// Whether its content is put away.
    pub final_backup_complete: UpdateBool,
    /// Whether a runner has been seen.
    pub deployed: UpdateBool,
    /// Whether its network is not usable yet.
    pub network_not_ready: UpdateBool,
    /// When somebody first used it.
    pub first_user_activity: Option<Timestamp>,
    /// Last words of the task that failed; empty if none did.
    pub headless_task_failed: String,
    /// Whether its stop was asked for.
    pub stopped_by_request: UpdateBool,
    /// Snapshot of its volume.
    pub volume_snapshot: Option<UpdateVolumeSnapshot>,
    /// Whether its stop was asked for without backup.
    pub aborted: UpdateBool,
}

/// Snapshot of a volume. Not sent by the reference system any more.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateVolumeSnapshot {
    /// Its name.
    pub volume_snapshot_name: String,
    /// Its name at the storage provider.
    pub volume_snapshot_handle: String,
}

/// The runner of an instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateRuntime {
    /// Machine that it is on.
    pub node_name: String,
    /// Its name.
    pub pod_name: String,
    /// Address of its machine.
    pub node_ip: String,
}

impl UpdateRuntime {
    /// Runner `pod_name` on machine `node_name` at `node_ip`.
    #[must_use]
    pub fn new(
        node_name: impl Into<String>,
        pod_name: impl Into<String>,
        node_ip: impl Into<String>,
    ) -> Self {
        Self {
            node_name: node_name.into(),
            pod_name: pod_name.into(),
            node_ip: node_ip.into(),
        }
    }
}

/// Who may use an instance.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateAuth {
    /// Whom it admits.
    pub admission: UpdateAdmission,
    /// Proves its owner; absent before it was made.
    pub owner_token: Option<Token>,
}

/// Whom an instance admits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum UpdateAdmission {
    /// Its owner.
    #[default]
    #[serde(rename = "ADMIT_OWNER_ONLY")]
    OwnerOnly,
    /// Everyone.
    #[serde(rename = "ADMIT_EVERYONE")]
    Everyone,
    /// A number that this version does not know.
    Other(i32),
}
