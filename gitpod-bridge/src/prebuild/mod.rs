//! Prebuilds: what a status says of the one that is built in its workspace.

mod map;
mod plan;

use gitpod_routing::WorkspaceId;

pub use self::map::{DecidedWhen, PrebuildUpdate, map_prebuild};
pub use self::plan::{PrebuildOutcome, PrebuildPlan, plan_prebuild, stop_prebuild};

/// The row of a prebuild, as far as the bridge cares.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PrebuildRow {
    /// Its name.
    pub id: String,
    /// The workspace that it is built in.
    pub build_workspace_id: WorkspaceId,
    /// Project that it belongs to.
    pub project_id: Option<String>,
    /// How far it has come.
    pub state: PrebuildState,
    /// Where its content is.
    pub snapshot: Option<String>,
    /// Why it has failed, or what its task said last.
    pub error: Option<String>,
    /// Incarnation of the cluster that [`status_version`](Self::status_version) counts in.
    pub source_epoch: i64,
    /// Version of the newest status taken; 0 if there was none.
    pub status_version: i64,
    /// Who is told of changes; absent if nobody is.
    pub audience: Option<PrebuildAudience>,
}

/// Who is told of changes of a prebuild.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PrebuildAudience {
    /// Organisation of its project, if that is known.
    pub organization_id: Option<String>,
}

impl PrebuildAudience {
    /// The members of an organisation, if that is known.
    #[must_use]
    pub fn new(organization_id: Option<String>) -> Self {
        Self { organization_id }
    }
}

impl PrebuildRow {
    /// A prebuild that waits, in workspace `build_workspace_id`.
    #[must_use]
    pub fn new(id: impl Into<String>, build_workspace_id: WorkspaceId) -> Self {
        Self {
            id: id.into(),
            build_workspace_id,
            project_id: None,
            state: PrebuildState::Queued,
            snapshot: None,
            error: None,
            source_epoch: 0,
            status_version: 0,
            audience: None,
        }
    }
}

/// How far a prebuild has come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PrebuildState {
    /// It waits.
    Queued,
    /// Its tasks run.
    Building,
    /// It was given up.
    Aborted,
    /// It took too long.
    Timeout,
    /// Its content can be used.
    Available,
    /// It has failed.
    Failed,
}

impl PrebuildState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Building,
        Self::Aborted,
        Self::Timeout,
        Self::Available,
        Self::Failed,
    ];

    /// Its name, in lowercase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Aborted => "aborted",
            Self::Timeout => "timeout",
            Self::Available => "available",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more is to come.
    #[must_use]
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Building)
    }
}

impl std::str::FromStr for PrebuildState {
    type Err = crate::NoSuchWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|state| state.as_str() == text);
        named.ok_or_else(|| crate::NoSuchWord::new("state of a prebuild", text))
    }
}

/// What is told of a workspace without user.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PrebuildEvent {
    /// It waits or runs.
    Started,
    /// Its tasks have done what they should.
    FinishSuccess,
    /// A task has failed; its content is kept.
    FinishFail,
    /// It took too long.
    AbortedTimeout,
    /// It was given up.
    Aborted,
    /// It has failed.
    Failed,
}

impl PrebuildEvent {
    /// Its name, in lowercase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::FinishSuccess => "finish-success",
            Self::FinishFail => "finish-fail",
            Self::AbortedTimeout => "aborted-timeout",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}
