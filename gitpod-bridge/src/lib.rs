//! Workspace status streams into a database, announced exactly as often as they change.
//!
//! A cluster says that `run-1` is running; a moment later it says so again, twice,
//! in the wrong order, from two replicas, while the database restarts. The row of
//! `run-1` still ends right, and each change of it is announced.
//!
//! ```text
//! StatusSource ─► queue per instance ─► plan ─► InstanceStore ──────► Relay ─► Publisher
//!  subscribe,      in order, at most     pure    one transaction:      at least  hints;
//!  then list       one per phase                 row + outbox entry    once      receivers re-read
//! ```
//!
//! - **Order** is `(source epoch, status version)`, checked under the row's own lock.
//! - **An observed stop is final.** A stop that was only inferred is undone by a newer
//!   report of life.
//! - **Nothing is announced before it is committed**, and nothing that is committed is
//!   forgotten, wherever the process dies.
//! - **Columns of others** are never written.
//!
//! [`plan()`] decides, and touches nothing:
//!
//! ```
//! use gitpod_bridge::{InstancePhase, InstanceRow, Origin, Outcome, plan};
//! use gitpod_lifecycle::{StatusUpdate, UpdatePhase};
//! use jiff::Timestamp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::now();
//! let row = InstanceRow::new("run-1".parse()?, "pink-panda-ns35kd21".parse()?, "eu01", now);
//! let mut status = StatusUpdate::new("run-1", UpdatePhase::Running);
//! status.status_version = 7;
//! let plan = plan(Some(&row), &status, now, &Origin::new("eu01"));
//! assert_eq!(plan.outcome, Outcome::Applied);
//! assert_eq!(plan.change.map(|state| state.phase), Some(InstancePhase::Running));
//! # Ok(())
//! # }
//! ```
//!
//! A whole installation is a `SqliteStore`, a [`Bridge`]
//! for each cluster and a [`Relay`]; `tests/bridge_flow.rs` shows them together.
//!
//! It does not start or stop instances, does not keep git status, and reads no
//! configuration. Leases and the registry of clusters are not part of it yet.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `grpc` | `GrpcSource`: statuses of a manager elsewhere |
//! | `sqlite` | `SqliteStore`: instances and outbox in one file |
//! | `testing` | `conformance`: does your own store keep its promises? |

mod apply;
mod bridge;
mod clock;
mod controller;
mod effect;
mod map;
mod memory;
mod metrics;
mod phase;
mod plan;
mod prebuild;
mod publish;
mod queue;
mod record;
mod register;
mod relay;
mod source;
mod store;
mod sweep;
mod workspace;

#[cfg(feature = "testing")]
pub mod conformance;

#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use self::apply::Apply;
pub use self::bridge::{Bridge, BridgeSettings};
pub use self::controller::{Controller, ControllerSettings};
pub use self::effect::{Effect, LifeEvent, LifeEventKind, Measure};
#[cfg(feature = "grpc")]
pub use self::grpc::GrpcSource;
pub use self::map::{
    Freshness, ImageMetrics, InitializerDuration, InstanceMetrics, Origin, StatusOrder, digest,
    merge_metrics, plan,
};
pub use self::memory::{Heard, MemoryPublisher, MemorySource, MemoryStore, Subscription};
pub use self::phase::{InstancePhase, NoSuchWord, StopOrigin};
pub use self::plan::{Outcome, Plan};
pub use self::prebuild::{
    DecidedWhen, PrebuildAudience, PrebuildEvent, PrebuildOutcome, PrebuildPlan, PrebuildRow,
    PrebuildState, PrebuildUpdate, map_prebuild, plan_prebuild, stop_prebuild,
};
pub use self::publish::{
    Announcement, CHANNEL_EVENTS, CHANNEL_HEADLESS, CHANNEL_INSTANCES, CHANNEL_PREBUILDS, Message,
    PublishError, Publisher,
};
pub use self::record::{
    ExposedPort, InstanceConditions, InstanceRow, InstanceState, PortProtocol, PortVisibility,
    StatusDigest,
};
pub use self::register::Registering;
pub use self::relay::{Relay, RelaySettings};
pub use self::source::{SourceError, StatusSource, StatusStream};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteStore};
pub use self::store::{Decide, InstanceStore, Outbox, OutboxEntry, StoreError, WorkspaceStore};
pub use self::sweep::{Missing, SweepTimeouts, mark_stopped, missing, stop_instance, timed_out};
pub use self::workspace::{NewInstance, NewWorkspace, Workspace, WorkspaceRecord};

pub use gitpod_routing::BoxError;
