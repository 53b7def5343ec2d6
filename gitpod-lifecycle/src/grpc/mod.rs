//! `wsman.WorkspaceManager` over gRPC: a [`Manager`](crate::Manager) for clients of the
//! reference system.
//!
//! ```text
//! request ─► convert ─► Manager ─► convert ─► response
//!    └─► refused: a code and a text that say which field, and why
//! ```
//!
//! Package, messages and field numbers are in `proto/wsman/core.proto`; codes and
//! texts follow sections 3 and 15 of the manager's specification. [`Policy`] says
//! what an installation takes.
//!
//! ```
//! use gitpod_lifecycle::Manager;
//! use gitpod_lifecycle::grpc::WorkspaceManagerService;
//!
//! fn service(manager: Manager) -> WorkspaceManagerService {
//!     WorkspaceManagerService::new(manager) // for tonic's `Server`, or any tower router
//! }
//! ```
//!
//! It does not authenticate: whoever reaches the socket may do everything. It takes
//! no snapshots, and serves neither `registryfacade.SpecProvider` nor
//! `builder.ImageBuilder`, which platforms with images need.

mod activity;
pub mod client;
mod convert;
mod error;
mod generated;
mod handler;
mod policy;
mod provider;
mod secret;
mod service;
mod updates;

pub use self::activity::RemoteActivity;
pub use self::policy::{Images, Initializers, Policy, ResourceClass};
pub use self::provider::RemoteWorkspaces;
pub use self::service::WorkspaceManagerService;

/// Largest message, either way, in bytes: as large as the reference system takes.
pub const MAX_MESSAGE: usize = 16 << 20;
