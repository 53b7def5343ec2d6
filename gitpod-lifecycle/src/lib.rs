//! Phases, conditions and timeouts of workspaces: a pure core, and adapters that run it.

mod condition;
mod count;
mod disposal;
mod duration;
mod event;
mod explain;
mod facts;
mod failure;
mod observe;
mod phase;
mod plan;
mod settings;
mod spec;
mod status;
mod timeout;
mod token;
mod url;

pub use self::condition::{Condition, ConditionStatus, ConditionType, Conditions, reason};
pub use self::count::{Count, Counted, StopReason, is_start_failure};
pub use self::disposal::{disposal_is_finished, must_end};
pub use self::duration::{GoDuration, GoDurationError, hours_and_minutes};
pub use self::event::Event;
pub use self::explain::{Explanation, explain};
pub use self::facts::{
    ContainerFacts, ContainerState, Facts, Maintenance, NodeState, RunnerFacts, RunnerPhase,
    Termination,
};
pub use self::failure::text_of_termination;
pub use self::observe::{Observation, observe};
pub use self::phase::{Phase, PhaseError};
pub use self::plan::{Action, LookAgain, Plan, plan, runner_name};
pub use self::settings::{Recreation, Rules, Settings, Timeouts};
pub use self::spec::{
    ContentSource, EnvVar, GitIdentity, GitSource, Image, PortSpec, Spec, SpecTimeouts,
    WorkspaceKind, WorkspaceName,
};
pub use self::status::publish::{MetadataFilter, is_told};
pub use self::status::update::{
    StatusUpdate, UpdateAdmission, UpdateAuth, UpdateBool, UpdateConditions, UpdateImageInfo,
    UpdateKind, UpdateMetadata, UpdatePhase, UpdatePort, UpdateProtocol, UpdateRuntime, UpdateSpec,
    UpdateVisibility, UpdateVolumeSnapshot,
};
pub use self::status::{
    GitStatus, ImageInfo, InitializerMetric, InitializerMetrics, RunnerInfo, Status,
};
pub use self::timeout::{TimedOut, Verdict, timeout};
pub use self::token::Token;
pub use self::url::{UrlTemplate, UrlTemplateError};

#[cfg(feature = "runtime")]
mod change;
#[cfg(feature = "runtime")]
mod cluster;
#[cfg(feature = "runtime")]
mod content;
#[cfg(feature = "runtime")]
mod memory;
#[cfg(feature = "runtime")]
mod reconcile;
#[cfg(feature = "runtime")]
mod records;
#[cfg(feature = "runtime")]
mod subscribe;

#[cfg(feature = "runtime")]
pub use self::{
    change::{Change, ChangeFeed, Changes},
    cluster::{Cluster, ClusterError, ContentStage, Created},
    content::{ContentError, ContentStore, Finished, NoContent, Prepared, Progress, ProgressStep},
    memory::{MemoryCluster, MemoryContent, MemoryRecords},
    reconcile::{
        Access, Activity, Adapters, Clock, Description, ManageError, Manager, StopPolicy,
        TimeoutKind,
    },
    records::{Listing, Record, RecordError, Records},
    subscribe::{ContentProgress, Lagged, Subscription},
};

#[cfg(feature = "gitpod-yml")]
pub mod gitpod_yml;
#[cfg(feature = "kube")]
pub mod kube;
#[cfg(feature = "process")]
pub mod process;
