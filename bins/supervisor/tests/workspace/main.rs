//! What a supervisor promises to the platform and to the user, shown on real processes and real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod editor;
mod status;
mod support;
mod tasks;
