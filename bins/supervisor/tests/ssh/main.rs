//! What a workspace's SSH server promises, shown with the programs of OpenSSH.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod client;
mod files;
mod forward;
mod hostile;
mod login;
mod pressure;
mod programs;
#[path = "../workspace/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod support;
