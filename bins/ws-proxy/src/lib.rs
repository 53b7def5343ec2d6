//! `ws-proxy`: HTTP and WebSocket to workspaces, at hostnames of their own.
//!
//! ```text
//! ws-manager ── Subscribe, GetWorkspaces ──► who runs, whose token, which ports
//!     ▲                                              │
//!     └────────── MarkActive ◄── report_activity ◄── stack of gitpod-routing ◄── HTTPS, HTTP
//! ```
//!
//! [`config`] is the JSON file of the reference, with every key checked; [`wire`] puts the parts together. The
//! library part is for the vectors, which replay [`config::check`].

pub mod config;
pub mod redirect;
pub mod wire;
