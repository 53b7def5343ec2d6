//! The gateway itself.

mod budget;
mod client_side;
mod config;
mod count;
mod entrance;
mod explain;
mod flow;
mod forwards;
mod gateway;
mod hold;
mod link;
mod metrics;
mod opening;
mod parting;
mod pipe;
mod pool;
mod requests;
mod session;
mod stream;
mod switch;
mod towards;
mod waiting;
mod watch;
mod workspace_side;

pub use self::gateway::Gateway;
pub use self::parting::Parting;
