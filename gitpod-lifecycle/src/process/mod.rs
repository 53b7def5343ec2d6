//! Local processes as workspaces: no container engine, no root.
//!
//! ```text
//! GitContent ── clones ──► workspaces/<workspace>/content
//! ProcessCluster ── starts ──► supervisor ── starts ──► tasks, IDE, servers
//!       │  finds it again by number and start time (`runner.json`), sees its end (pidfd),
//!       │  ends all that it started: asked, then by force
//! LocalConnector ── /proc: who listens? ──► loopback port, or nothing
//! ```
//!
//! Workspaces are **not isolated** from each other nor from the user who runs
//! them: same user, same files, and, but for [`NetworkChoice::Own`], same network. What is kept apart is their
//! directories, environments and process trees; what is routed to a port of a
//! workspace reaches that workspace or nobody.
//!
//! Memory and number of processes are limited by control groups (version 2) where
//! this user may make some, which needs the controllers to be delegated; else
//! memory is limited for each process. [`ProcessCluster::limits`] says which.
//!
//! Linux only: it reads `/proc`.

mod attach;
mod cgroup;
mod cluster;
mod connect;
mod disk;
mod environment;
mod git;
mod kill;
mod layout;
mod limits;
pub mod listeners;
mod look;
mod network;
mod owner;
mod pidfd;
mod private_file;
mod records;
mod reserve;
mod runner;
mod runner_file;
mod settings;
mod short_path;
mod socket;
mod spawn;
mod supervisor_file;
pub mod tree;
mod unknown;

pub use self::attach::NETWORK_IS_UP;
pub use self::cluster::ProcessCluster;
pub use self::connect::LocalConnector;
pub use self::git::{CloneLimits, GitContent};
pub use self::layout::Layout;
pub use self::network::{Network, NetworkChoice, NoOwnNetwork};
pub use self::records::FileRecords;
pub use self::reserve::Reserve;
pub use self::settings::{IdeChoice, Limits, ProcessSettings};
pub use self::short_path::{ShortPath, listen_privately};
