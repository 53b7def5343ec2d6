//! The row of an instance: what its starter wrote, and what the bridge keeps.

use gitpod_lifecycle::Token;
use gitpod_routing::{InstanceId, WorkspaceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::phase::{InstancePhase, StopOrigin};

/// One run of a workspace, as the database knows it.
///
/// The fields beside [`state`](Self::state) belong to whoever starts instances;
/// the bridge reads them and never writes them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InstanceRow {
    /// Its name.
    pub id: InstanceId,
    /// The workspace that it is a run of.
    pub workspace_id: WorkspaceId,
    /// User id of the owner of that workspace; may be empty.
    pub owner_id: String,
    /// Name of the cluster that runs it. Reports of other clusters are `Foreign`.
    pub region: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Whether an image had to be built for it.
    pub needed_image_build: Option<bool>,
    /// How often the row has been written.
    pub row_version: i64,
    /// What the bridge keeps.
    pub state: InstanceState,
}

impl InstanceRow {
    /// An instance of which nothing has been reported.
    #[must_use]
    pub fn new(
        id: InstanceId,
        workspace_id: WorkspaceId,
        region: impl Into<String>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            workspace_id,
            owner_id: String::new(),
            region: region.into(),
            created_at,
            needed_image_build: None,
            row_version: 0,
            state: InstanceState::new(InstancePhase::Pending),
        }
    }

    /// Of `owner_id`.
    #[must_use]
    pub fn with_owner(mut self, owner_id: impl Into<String>) -> Self {
        self.owner_id = owner_id.into();
        self
    }

    /// With `state`.
    #[must_use]
    pub fn with_state(mut self, state: InstanceState) -> Self {
        self.state = state;
        self
    }

    /// Whether nothing of it runs.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state.phase == InstancePhase::Stopped
    }
}

/// The columns of an instance that the bridge writes, and nobody else.
///
/// Times are to the millisecond, and ordered: created, deployed, started,
/// stopping, stopped.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InstanceState {
    /// How far it has come. Never `Stopped` without [`stopped_at`](Self::stopped_at).
    pub phase: InstancePhase,
    /// Who said that it has stopped; absent while it has not.
    pub stop_origin: Option<StopOrigin>,
    /// Which incarnation of its cluster [`status_version`](Self::status_version) counts in.
    pub source_epoch: i64,
    /// Version of the newest status taken; 0 if there was none.
    pub status_version: i64,
    /// Digest of that status.
    pub status_digest: Option<StatusDigest>,
    /// When that status was taken.
    pub last_status_at: Option<Timestamp>,
    /// When a runner was first seen.
    pub deployed_at: Option<Timestamp>,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// When it began to stop.
    pub stopping_at: Option<Timestamp>,
    /// When it had stopped.
    pub stopped_at: Option<Timestamp>,
    /// Where it is reached; empty before that is known.
    pub ide_url: String,
    /// What its manager says of it.
    pub message: Option<String>,
    /// How long nobody may use it before it stops, as a Go duration.
    pub timeout: Option<String>,
    /// Machine that it is on.
    pub node_name: Option<String>,
    /// Name of its runner.
    pub pod_name: Option<String>,
    /// Address of that machine.
    pub node_ip: Option<String>,
    /// Proves its owner.
    pub owner_token: Option<Token>,
    /// Its ports, in the order of its manager.
    pub exposed_ports: Vec<ExposedPort>,
    /// What else has happened.
    pub conditions: InstanceConditions,
    /// Size of its image in bytes; the first that was not 0.
    pub image_total_size: Option<i64>,
    /// Size of the user's own part of it; the first that was not 0.
    pub image_workspace_size: Option<i64>,
}

impl InstanceState {
    /// In `phase`, and nothing else is known.
    #[must_use]
    pub fn new(phase: InstancePhase) -> Self {
        Self {
            phase,
            stop_origin: None,
            source_epoch: 0,
            status_version: 0,
            status_digest: None,
            last_status_at: None,
            deployed_at: None,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            ide_url: String::new(),
            message: None,
            timeout: None,
            node_name: None,
            pod_name: None,
            node_ip: None,
            owner_token: None,
            exposed_ports: Vec::new(),
            conditions: InstanceConditions::default(),
            image_total_size: None,
            image_workspace_size: None,
        }
    }
}

/// SHA-256 over a status, its version left out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StatusDigest(pub(crate) [u8; 32]);

impl StatusDigest {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for StatusDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// What has happened to an instance. What was not stated is absent.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InstanceConditions {
    /// How it has failed. Never erased once set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Which limit it has reached. Never erased once set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Whether its images are being fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulling_images: Option<bool>,
    /// Whether a runner has been seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed: Option<bool>,
    /// Whether its stop was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by_request: Option<bool>,
    /// When somebody first used it. Never erased once set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_user_activity: Option<Timestamp>,
    /// Last words of the task that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headless_task_failed: Option<String>,
}

/// One port of an instance.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExposedPort {
    /// Which one.
    pub port: u32,
    /// Who may use it; absent if its manager said something unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<PortVisibility>,
    /// What its server speaks.
    pub protocol: PortProtocol,
    /// Where it is reached.
    #[serde(default)]
    pub url: String,
}

/// Who may use a port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PortVisibility {
    /// The owner.
    Private,
    /// Everyone.
    Public,
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PortProtocol {
    /// HTTP in the clear.
    Http,
    /// HTTP over TLS.
    Https,
}
