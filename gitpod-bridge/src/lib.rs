//! Workspace status streams into a database, announced exactly as often as they change.

mod apply;
mod bridge;
mod clock;
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
mod relay;
mod source;
mod store;
mod sweep;
mod workspace;

#[cfg(feature = "testing")]
pub mod conformance;

#[cfg(feature = "sqlite")]
mod sqlite;

pub use self::apply::Apply;
pub use self::bridge::{Bridge, BridgeSettings};
pub use self::effect::{Effect, LifeEvent, LifeEventKind, Measure};
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
pub use self::relay::{Relay, RelaySettings};
pub use self::source::{SourceError, StatusSource, StatusStream};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteStore};
pub use self::store::{Decide, InstanceStore, Outbox, OutboxEntry, StoreError, WorkspaceStore};
pub use self::sweep::{Missing, SweepTimeouts, mark_stopped, missing, stop_instance, timed_out};
pub use self::workspace::{NewInstance, NewWorkspace, Workspace, WorkspaceRecord};

pub use gitpod_routing::BoxError;
