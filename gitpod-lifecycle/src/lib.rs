//! Phases, conditions and timeouts of workspaces: a pure core, and adapters that run it.
//!
//! A workspace of yours runs in a process, a pod or a virtual machine. This crate
//! decides when it is `Running`, when it has been idle for too long, what to do
//! when its machine vanishes, and when nothing is left of it; you supply facts
//! and do what it says.
//!
//! ```text
//!   Spec ───┐                        ┌─► Status ──► stored, then told (StatusUpdate)
//!   Status ─┼─► observe ─────────────┴─► Events
//!   Facts ──┤      │
//!   now ────┤      ├─► timeout ──────► Verdict: which limit is reached, when the next one is
//!           └──────┴─► plan ─────────► Actions: create, delete, release a runner, …
//!                                      and when to look again
//! ```
//!
//! [`observe()`], [`plan()`] and [`timeout()`] depend on nothing but their
//! arguments: the same functions serve a Kubernetes controller, local processes,
//! tests and models. A *runner* is what a pod is on Kubernetes.
//!
//! ```
//! use gitpod_lifecycle::{Action, Facts, RunnerFacts, Settings, Spec, Status, observe, plan};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "https://{{ .Prefix }}.example.com/".parse()?;
//! let settings = Settings::new(url, "https://{{ .WorkspacePort }}-{{ .Prefix }}.example.com/".parse()?);
//! let now = "2026-11-21T12:00:00Z".parse()?;
//! let spec = Spec::new("3f2a9c10".parse()?, "pink-panda-ns35kd21".into(), now);
//! let seen = observe(&spec, &Status::new(), &Facts::no_runner(), &settings, now);
//! let plan = plan(&spec, &seen.status, &Facts::no_runner(), &settings, now);
//! assert!(matches!(&plan.actions[..], [Action::CreateRunner { name, .. }] if name == "ws-3f2a9c10"));
//! # Ok(())
//! # }
//! ```
//!
//! # Phases
//!
//! | [`Phase`] | entered when |
//! |---|---|
//! | `Pending` | it was asked for |
//! | `Creating` | the container of its runner is created |
//! | `Initializing` | that runs, but content or IDE are not ready |
//! | `Running` | both are ready; left only to stop |
//! | `Stopping` | it has to end: failed, timed out, asked to stop or be removed, runner gone |
//! | `Stopped` | nothing of it runs, and its content is taken care of; final |
//! | `Unknown` | its platform has lost touch with its runner |
//!
//! # Conditions
//!
//! What else has happened is kept as [`Condition`]s; [`ConditionType`] lists them
//! and who sets each. These end an instance: `Failed`, `Timeout`,
//! `StoppedByRequest`, `Aborted`, `NodeDisappeared`; see [`must_end`]. These
//! allow `Stopped`: `BackupComplete`, `BackupFailure`, `Aborted`,
//! `NodeDisappeared`, or no `ContentReady`; see [`disposal_is_finished`].
//!
//! # Whose rules
//!
//! The reference system can get stuck: a pod that vanishes leaves its workspace
//! `Running` for ever, for one. [`Rules::Improved`], the default, repairs that,
//! so that every stop comes to an end; [`Rules::Reference`] follows it to the letter.
//!
//! # What it does not do
//!
//! It does not route requests (`gitpod-routing`), nor keep a history
//! (`gitpod-bridge`). Without features it reads no clock, no file, no network.
//!
//! # Features
//!
//! None is on by default. `runtime`: the reconcile loop over a `Cluster`.
//! `process`: local processes as workspaces. `grpc`: `wsman.WorkspaceManager`.
//! `gitpod-yml`: `.gitpod.yml`. `kube`: pods and `Workspace` resources read as
//! facts, without client. `testing`: conformance suites for adapters.
//!
//! **Source:** sections 5 to 8 and 10 of the manager's specification.

mod condition;
mod conditions;
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

pub use self::condition::{Condition, ConditionStatus, ConditionType, reason};
pub use self::conditions::Conditions;
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
mod reports;
#[cfg(feature = "runtime")]
mod subscribe;

#[cfg(feature = "runtime")]
pub use self::{
    change::{Change, ChangeFeed, Changes},
    cluster::{Cluster, ClusterError, ContentStage, Created},
    content::{ContentError, ContentStore, Finished, NoContent, Prepared, Progress, ProgressStep},
    memory::{MemoryCluster, MemoryContent, MemoryRecords},
    reconcile::{
        Access, Activity, Adapters, Clock, Description, ManageError, Manager, ManagerActivity,
        StopPolicy, TimeoutKind,
    },
    records::{Listing, Record, RecordError, Records},
    subscribe::{ContentProgress, Lagged, Subscription},
};

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "gitpod-yml")]
pub mod gitpod_yml;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "kube")]
pub mod kube;
#[cfg(feature = "process")]
pub mod process;
