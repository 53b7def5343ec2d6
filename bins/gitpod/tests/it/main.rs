//! The `gitpod` binary, used as a user uses it: real processes, repositories and sockets.
//!
//! One binary, so that the tests are linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod about;
mod access;
mod attacks;
mod bad_input;
mod crash;
mod harness;
mod hostile_files;
mod idle;
mod isolation;
mod life;
mod limits;
mod logs;
mod network;
mod page;
mod page_attack;
mod page_browser;
mod page_visitor;
mod programs;
mod race;
mod replace;
mod replace_hang;
mod replace_revoke;
mod replace_wait;
mod revoke;
mod secrets;
mod socket;
mod ssh_attack;
mod ssh_clients;
mod ssh_editor;
mod ssh_forward;
mod ssh_harness;
mod ssh_keys;
mod ssh_life;
mod ssh_load;
mod ssh_openssh;
mod ssh_pace;
mod terminal;
mod wake;
mod wake_owner;
mod wake_ssh;
mod wake_use;
