//! The loop that makes the platform follow the specs.
//!
//! ```text
//!             ┌────────────── woken by changes, limits and results ─────────────┐
//!             ▼                                                                 │
//! record + facts ─► observe ─► timeout ─► store, publish ─► plan ─► actions ────┤
//!                                                      └──► content ────────────┘
//! ```
//!
//! One worker per instance goes round here. All it needs is in [`Records`] and
//! [`Cluster`]: a new process that finds both continues where the old one ended.
//!
//! [`Records`]: crate::Records
//! [`Cluster`]: crate::Cluster

mod activity;
mod backoff;
mod clock;
mod content_step;
mod error;
mod manager;
mod modify;
mod pass;
mod start;
mod watched;
mod worker;

pub use self::activity::ManagerActivity;
pub use self::clock::Clock;
pub use self::error::ManageError;
pub use self::manager::{Adapters, Description, Manager};
pub use self::modify::{Activity, StopPolicy, TimeoutKind};
pub use self::start::Access;
