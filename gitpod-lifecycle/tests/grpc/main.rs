//! `wsman.WorkspaceManager` over a real connection: calls, codes, streams.
#![cfg(feature = "grpc")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod change;
mod list;
mod refuse;
mod start;
mod stop;
mod subscribe;
mod system;
mod wire;
