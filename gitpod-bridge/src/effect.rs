//! What a change of a row brings with it.

use gitpod_routing::{InstanceId, WorkspaceId};
use jiff::{SignedDuration, Timestamp};

use crate::map::InstanceMetrics;
use crate::phase::{InstancePhase, StopOrigin};
use crate::publish::Announcement;
use crate::record::{InstanceRow, InstanceState};

/// What belongs to the transaction that writes the row.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Merge these into what is kept of the instance.
    StoreMetrics(InstanceMetrics),
    /// Delete the tokens of `owner_id` that were made for `instance_id`: those
    /// whose name begins with the instance's and a dash.
    RevokeTokens {
        /// Whose tokens.
        owner_id: String,
        /// For which instance.
        instance_id: InstanceId,
    },
    /// Tell this, unless its key was told before.
    Once(LifeEvent),
    /// If a prebuild is built in this workspace, [`stop_prebuild`](crate::stop_prebuild)
    /// it. A store that keeps no prebuilds has nothing to do.
    StopPrebuild {
        /// Where it is built.
        workspace_id: WorkspaceId,
    },
    /// Tell this. Receivers read the row again.
    Announce(Announcement),
}

/// A moment that each instance has at most once.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LifeEvent {
    /// Which moment.
    pub kind: LifeEventKind,
    /// Of which instance.
    pub instance_id: InstanceId,
    /// Of which workspace.
    pub workspace_id: WorkspaceId,
    /// User id of its owner.
    pub owner_id: String,
    /// When.
    pub timestamp: Timestamp,
    /// Who said so, for a stop.
    pub stop_origin: Option<StopOrigin>,
}

/// A moment in the life of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LifeEventKind {
    /// It ran for the first time.
    WorkspaceRunning,
    /// It has stopped.
    WorkspaceStopped,
}

impl LifeEvent {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            LifeEventKind::WorkspaceRunning => "workspace_running",
            LifeEventKind::WorkspaceStopped => "workspace_stopped",
        }
    }

    /// The key under which it is remembered, and told apart by receivers.
    #[must_use]
    pub fn key(&self) -> String {
        let id = &self.instance_id;
        match self.kind {
            LifeEventKind::WorkspaceRunning => format!("bridge-wsrun-{id}"),
            LifeEventKind::WorkspaceStopped => format!("bridge-wsstopped-{id}"),
        }
    }

    fn of(row: &InstanceRow, kind: LifeEventKind, timestamp: Timestamp) -> Self {
        Self {
            kind,
            instance_id: row.id.clone(),
            workspace_id: row.workspace_id.clone(),
            owner_id: row.owner_id.clone(),
            timestamp,
            stop_origin: None,
        }
    }
}

pub(crate) fn running_effects(row: &InstanceRow, state: &InstanceState) -> Option<Effect> {
    let started = state.started_at?;
    let event = LifeEvent::of(row, LifeEventKind::WorkspaceRunning, started);
    Some(Effect::Once(event))
}

pub(crate) fn stopped_effects(row: &InstanceRow, state: &InstanceState) -> Vec<Effect> {
    let revoke = Effect::RevokeTokens {
        owner_id: row.owner_id.clone(),
        instance_id: row.id.clone(),
    };
    let event = state.stopped_at.map(|stopped| {
        let mut event = LifeEvent::of(row, LifeEventKind::WorkspaceStopped, stopped);
        event.stop_origin = state.stop_origin;
        Effect::Once(event)
    });
    [revoke].into_iter().chain(event).collect()
}

/// What to count once a change is committed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// From creation to the first run.
    StartupTime {
        /// So long.
        after: SignedDuration,
        /// Whether an image had to be built for it.
        image_built: bool,
    },
    /// From the first run to the first use.
    FirstUse(SignedDuration),
    /// It was believed to have stopped, and lives.
    Revived,
    /// It was marked as stopped while in this phase.
    MarkedStopped(InstancePhase),
}
