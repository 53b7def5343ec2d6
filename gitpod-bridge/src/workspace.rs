//! The row of a workspace: what outlives its instances.

use gitpod_routing::{InstanceId, WorkspaceId};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::record::InstanceRow;

/// A workspace: files and a name that stay while its instances come and go.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Workspace {
    /// Its name.
    pub id: WorkspaceId,
    /// User id of its owner; may be empty.
    pub owner_id: String,
    /// What its user started it from: URL of a repository or page, or a path.
    pub context_url: String,
    /// A line about it, for people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What its creator needs to start it again. Not interpreted here.
    pub definition: Value,
}

/// A workspace to be made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NewWorkspace {
    /// Its name.
    pub id: WorkspaceId,
    /// See [`Workspace::owner_id`].
    pub owner_id: String,
    /// See [`Workspace::context_url`].
    pub context_url: String,
    /// See [`Workspace::description`].
    pub description: String,
    /// See [`Workspace::definition`].
    pub definition: Value,
}

impl NewWorkspace {
    /// Workspace `id`, made from `context_url`.
    #[must_use]
    pub fn new(id: WorkspaceId, context_url: impl Into<String>) -> Self {
        Self {
            id,
            owner_id: String::new(),
            context_url: context_url.into(),
            description: String::new(),
            definition: Value::Null,
        }
    }

    /// Of `owner_id`.
    #[must_use]
    pub fn with_owner(mut self, owner_id: impl Into<String>) -> Self {
        self.owner_id = owner_id.into();
        self
    }

    /// With a line for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// With what its creator needs to start it again.
    #[must_use]
    pub fn with_definition(mut self, definition: Value) -> Self {
        self.definition = definition;
        self
    }
}

/// An instance to be made, before any manager has heard of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewInstance {
    /// Its name.
    pub id: InstanceId,
    /// The workspace that it is a run of.
    pub workspace_id: WorkspaceId,
    /// Name of the cluster that is to run it.
    pub region: String,
}

impl NewInstance {
    /// A run of `workspace_id` in cluster `region`.
    #[must_use]
    pub fn new(id: InstanceId, workspace_id: WorkspaceId, region: impl Into<String>) -> Self {
        Self {
            id,
            workspace_id,
            region: region.into(),
        }
    }
}

/// A workspace and its newest instance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkspaceRecord {
    /// The workspace.
    pub workspace: Workspace,
    /// Its newest instance; absent before it was first started.
    pub latest: Option<InstanceRow>,
}

impl WorkspaceRecord {
    /// `workspace`, of which `latest` is the newest instance.
    #[must_use]
    pub fn new(workspace: Workspace, latest: Option<InstanceRow>) -> Self {
        Self { workspace, latest }
    }
}

/// When an instance is made: after the `earlier` one of its workspace, also if
/// the clock went back, so that the newest one can be told.
pub(crate) fn created_after(earlier: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let next = earlier.and_then(|earlier| earlier.checked_add(SignedDuration::from_millis(1)).ok());
    next.map_or(now, |next| next.max(now))
}
