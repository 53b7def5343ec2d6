//! What has happened to an instance, beside its phase.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a [`Condition`] is about.
///
/// | set by | types |
/// |---|---|
/// | [`observe`](crate::observe()) | `Deployed`, `Failed`, `HeadlessTaskFailed`, `EverReady`, `NodeDisappeared`, `WorkspaceContainerRunning`, `PodRejected`, and `BackupFailure` when nobody else can |
/// | [`timeout`](crate::timeout()) | `Timeout` |
/// | the service | `FirstUserActivity`, `Closed`, `StoppedByRequest`, `Aborted` |
/// | whoever keeps the content | `ContentReady`, `BackupComplete`, `BackupFailure`, `StateWiped`, `ForceKilledTask`, `Refresh` |
///
/// **Source:** manager specification, section 6. Records keep its names.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum ConditionType {
    /// A runner has been seen.
    Deployed,
    /// It has failed; the message says how. The first failure stays.
    Failed,
    /// It has reached a time limit; the message says which.
    Timeout,
    /// Somebody has used it.
    FirstUserActivity,
    /// Its last window was closed.
    Closed,
    /// A task of a workspace without user has failed; the message is its last words.
    HeadlessTaskFailed,
    /// Its stop was asked for; the message is the grace period.
    StoppedByRequest,
    /// Its stop was asked for without backup.
    Aborted,
    /// Its content is in place (True) or could not be put there (False).
    ContentReady,
    /// It has been Running.
    EverReady,
    /// Its content is put away.
    BackupComplete,
    /// Its content could not be put away; the message says why.
    BackupFailure,
    /// Its machine no longer exists.
    NodeDisappeared,
    /// Whether its workspace container runs.
    WorkspaceContainerRunning,
    /// The machine refused its runner; another one is tried while True.
    PodRejected,
    /// What a refused runner left on its machine is gone (True) or could not be removed.
    StateWiped,
    /// Its task had to be killed for the backup.
    ForceKilledTask,
    /// Somebody made sure to have read the newest state.
    Refresh,
    /// A type that this version does not know. Kept, and decides nothing.
    Other(String),
}

impl ConditionType {
    const NAMED: [Self; 18] = [
        Self::Deployed,
        Self::Failed,
        Self::Timeout,
        Self::FirstUserActivity,
        Self::Closed,
        Self::HeadlessTaskFailed,
        Self::StoppedByRequest,
        Self::Aborted,
        Self::ContentReady,
        Self::EverReady,
        Self::BackupComplete,
        Self::BackupFailure,
        Self::NodeDisappeared,
        Self::WorkspaceContainerRunning,
        Self::PodRejected,
        Self::StateWiped,
        Self::ForceKilledTask,
        Self::Refresh,
    ];

    /// Its name as records write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deployed => "Deployed",
            Self::Failed => "Failed",
            Self::Timeout => "Timeout",
            Self::FirstUserActivity => "FirstUserActivity",
            Self::Closed => "Closed",
            Self::HeadlessTaskFailed => "HeadlessTaskFailed",
            Self::StoppedByRequest => "StoppedByRequest",
            Self::Aborted => "Aborted",
            Self::ContentReady => "ContentReady",
            Self::EverReady => "EverReady",
            Self::BackupComplete => "BackupComplete",
            Self::BackupFailure => "BackupFailure",
            Self::NodeDisappeared => "NodeDisappeared",
            Self::WorkspaceContainerRunning => "WorkspaceContainerRunning",
            Self::PodRejected => "PodRejected",
            Self::StateWiped => "StateWiped",
            Self::ForceKilledTask => "ForceKilledTask",
            Self::Refresh => "Refresh",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for ConditionType {
    fn from(name: String) -> Self {
        let named = Self::NAMED.into_iter().find(|kind| kind.as_str() == name);
        named.unwrap_or(Self::Other(name))
    }
}

impl From<&str> for ConditionType {
    fn from(name: &str) -> Self {
        name.to_owned().into()
    }
}

impl From<ConditionType> for String {
    fn from(kind: ConditionType) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}

/// Something that has happened to an instance, or is known not to have.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word. Never empty.
    #[serde(default = "no_reason")]
    pub reason: String,
    /// Why, in a sentence; may be empty.
    #[serde(default)]
    pub message: String,
    /// Since when [`status`](Self::status) is as it is.
    #[serde(default)]
    pub last_transition_time: Timestamp,
}

impl Condition {
    /// `kind` is `status` since `now`, for no stated reason.
    #[must_use]
    pub fn new(kind: ConditionType, status: ConditionStatus, now: Timestamp) -> Self {
        Self {
            kind,
            status,
            reason: no_reason(),
            message: String::new(),
            last_transition_time: now,
        }
    }

    /// `kind` holds since `now`.
    #[must_use]
    pub fn holds(kind: ConditionType, now: Timestamp) -> Self {
        Self::new(kind, ConditionStatus::True, now)
    }

    /// `kind` does not hold since `now`.
    #[must_use]
    pub fn fails(kind: ConditionType, now: Timestamp) -> Self {
        Self::new(kind, ConditionStatus::False, now)
    }

    /// Because of `reason`, one word. An empty one is replaced by `Unknown`.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        self.reason = if reason.is_empty() {
            no_reason()
        } else {
            reason
        };
        self
    }

    /// With an explanation.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

fn no_reason() -> String {
    "Unknown".to_owned()
}

/// Reasons that others compare.
pub mod reason {
    /// Of `ContentReady` True.
    pub const INITIALIZATION_SUCCESS: &str = "InitializationSuccess";
    /// Of `ContentReady` False.
    pub const INITIALIZATION_FAILURE: &str = "InitializationFailure";
    /// Of `BackupComplete` True.
    pub const BACKUP_COMPLETE: &str = "BackupComplete";
    /// Of `BackupFailure` True.
    pub const BACKUP_FAILED: &str = "BackupFailed";
    /// Of `StoppedByRequest` and `Aborted`.
    pub const STOP_WORKSPACE_REQUEST: &str = "StopWorkspaceRequest";
    /// Of `FirstUserActivity` and `Closed`.
    pub const MARK_ACTIVE_REQUEST: &str = "MarkActiveRequest";
    /// Of `Timeout`.
    pub const TIMED_OUT: &str = "TimedOut";
}
