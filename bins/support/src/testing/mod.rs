//! For tests: real programs, and what users do with them.
//!
//! Everything here panics when it does not go as it should, with what the programs have logged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "tests only"
)]

mod authority;
mod configs;
mod manager;
mod program;
mod request;
mod skip;

pub use self::authority::Authority;
pub use self::configs::{bridge_config, manager_config, proxy_config};
pub use self::manager::{ManagerClient, Started, repository, start_request};
pub use self::program::{PATIENCE, Program, binary, wait_until};
pub use self::request::{Answer, https_request, https_request_named, https_two_request, request};
pub use self::skip::{cannot_run, skip};
