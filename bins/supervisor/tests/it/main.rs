//! What a supervisor promises to the platform and to the user, shown on real processes and real sockets; and its SSH server, with
//! the programs of OpenSSH.
//!
//! One binary, so that it is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod client;
mod editor;
mod files;
mod forward;
mod hostile;
mod login;
mod pressure;
mod programs;
mod status;
mod support;
mod tasks;
