//! Why the manager does not do what it was asked.

use gitpod_routing::InstanceId;

use crate::cluster::ClusterError;
use crate::content::ContentError;
use crate::records::RecordError;
use crate::spec::WorkspaceName;

/// The manager does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// There is no such instance, or none any more.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// Another instance of that workspace has not stopped.
    #[error("workspace {workspace} has an instance that has not stopped: {instance}")]
    AlreadyRuns {
        /// The workspace.
        workspace: WorkspaceName,
        /// Its instance.
        instance: InstanceId,
    },
    /// There is an instance of that name, of another workspace.
    #[error("instance {0} exists, and belongs to another workspace")]
    InstanceExists(InstanceId),
    /// What was asked makes no sense; says which part.
    #[error("{0}")]
    Invalid(String),
    /// The installation is being maintained.
    #[error("under maintenance")] // clients compare this text
    UnderMaintenance,
    /// Another manager looks after the records now.
    #[error("this manager has let go of its instances; try again")]
    Closed,
    /// Others changed the record all the time.
    #[error("record of instance {0} changes too often, try again")]
    Busy(InstanceId),
    /// Records could not be read or kept.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// The platform could not be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Content could not be removed.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl ManageError {
    /// Whether the same request may work later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_)
            | Self::Closed
            | Self::UnderMaintenance
            | Self::Cluster(ClusterError::Unavailable { .. }) => true,
            Self::Records(why) => {
                matches!(why, RecordError::Full(_) | RecordError::Unavailable { .. })
            }
            Self::NotFound(_)
            | Self::AlreadyRuns { .. }
            | Self::InstanceExists(_)
            | Self::Invalid(_)
            | Self::Cluster(_)
            | Self::Content(_) => false,
        }
    }
}
