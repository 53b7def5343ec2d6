//! Why a workspace cannot be what its user wants.

use gitpod_bridge::StoreError;
use gitpod_lifecycle::{ContentError, ManageError};
use gitpod_routing::{IdError, LinkError};
use tonic::{Code, Status};

/// Why something could not be done with a workspace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// There is none of that name.
    #[error("there is no workspace {0}")]
    NotFound(String),
    /// It does not stop.
    #[error(
        "workspace {0} does not stop; fix: try `gitpod stop --now {0}`, or look into the logs of `gitpod up`"
    )]
    DoesNotStop(String),
    /// This `up` is about to end.
    #[error("`gitpod up` is ending, and starts no workspace; fix: start it again, then try again")]
    Ending,
    /// It would have to run.
    #[error("workspace {0} does not run; fix: gitpod start {0}")]
    NotRunning(String),
    /// A start needs some room on the disk.
    #[error(
        "no space left in {dir}: {kib} KiB are free, and a start takes 1024; fix: free some (`gitpod delete ID` removes the files of a workspace), then start it again"
    )]
    Full {
        /// Where `up` keeps everything.
        dir: String,
        /// What is free.
        kib: u64,
    },
    /// No link could be made or ended.
    #[error("cannot change links")]
    Links(#[from] LinkError),
    /// What was asked makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Rows could not be read or written.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// The manager refused.
    #[error("cannot change the instance")]
    Manage(#[from] ManageError),
    /// Its name cannot be used for files.
    #[error("cannot find the files of the workspace")]
    Content(#[from] ContentError),
    /// A row names no instance.
    #[error("the database names no instance")]
    Name(#[from] IdError),
    /// Its logs or files could not be read or removed.
    #[error("cannot use the files of the workspace")]
    Files(#[from] std::io::Error),
}

impl WorkspaceError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::DoesNotStop(_) => Code::DeadlineExceeded,
            Self::Invalid(_) => Code::InvalidArgument,
            Self::NotRunning(_) | Self::Ending => Code::FailedPrecondition,
            Self::Full { .. } | Self::Store(StoreError::Full { .. }) => Code::ResourceExhausted,
            Self::Store(_)
            | Self::Manage(_)
            | Self::Content(_)
            | Self::Links(_)
            | Self::Name(_)
            | Self::Files(_) => Code::Internal,
        }
    }
}

impl From<WorkspaceError> for Status {
    fn from(error: WorkspaceError) -> Self {
        let chain =
            std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |e| {
                e.source()
            });
        let text: Vec<String> = chain.map(ToString::to_string).collect();
        Self::new(error.code(), text.join(": "))
    }
}
