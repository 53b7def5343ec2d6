//! The gateway itself.

mod budget;
mod client_side;
mod config;
mod count;
mod explain;
mod flow;
mod forwards;
mod gateway;
mod link;
mod metrics;
mod opening;
mod pipe;
mod session;
mod stream;
mod switch;
mod waiting;
mod watch;
mod workspace_side;

pub use self::gateway::Gateway;
