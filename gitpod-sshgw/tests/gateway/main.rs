//! The gateway between real clients and real servers.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod attacks;
mod life;
mod openssh;
mod peer;
mod soak;
mod support;
