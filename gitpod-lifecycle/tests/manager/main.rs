//! What the manager promises, on adapters in memory and a paused clock.
#![cfg(feature = "runtime")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod idleness;
mod life;
mod requests;
mod successor;
mod updates;
mod world;
