//! Local processes as workspaces.

mod cgroup;
mod cluster;
mod connect;
mod environment;
mod git;
mod kill;
mod layout;
mod limits;
pub mod listeners;
mod owner;
mod pidfd;
mod private_file;
mod records;
mod runner;
mod runner_file;
mod settings;
mod socket;
mod spawn;
mod supervisor_file;
pub mod tree;

pub use self::cluster::ProcessCluster;
pub use self::connect::LocalConnector;
pub use self::git::GitContent;
pub use self::layout::Layout;
pub use self::records::FileRecords;
pub use self::settings::{IdeChoice, Limits, ProcessSettings};
