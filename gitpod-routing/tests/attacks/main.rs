//! Attacks that others have met, each under its number in `docs/security-tests.md`: what a
//! client or a workspace sends on the wire, and what comes of it.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod browsers;
mod framing;
#[cfg(feature = "tls")]
mod fronting;
mod hosts;
mod http2;
mod lookups;
mod paths;
mod records;
mod signs;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod upstreams;
mod world;
