//! `wsman.WorkspaceManager` over a real connection: calls, codes, streams.
#![cfg(feature = "grpc")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests: tables, and what is built in one piece"
)]

mod change;
mod list;
mod refuse;
mod start;
mod stop;
mod subscribe;
mod system;
mod wire;
