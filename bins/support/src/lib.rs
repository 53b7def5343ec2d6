//! What every server here needs beside its own work.
//!
//! ```text
//! file ─► config: read, then checked as a whole ─► wire ─► listen ─► serve ─► drained
//!                                                          │  tls: files, read again when they change
//!                                                          └─ ops: /metrics, /healthz, /readyz
//! ```
//!
//! A binary of this repository is `main.rs` (what was typed), `config.rs` (from JSON to values that cannot be wrong)
//! and `wire.rs` (where concrete types meet). All else that is the same for each of them is here:
//!
//! | module | |
//! |---|---|
//! | [`config`] | reads a JSON document and names every mistake in it: which key, what is wrong, what to write |
//! | [`log`] | one JSON object a line on standard error, without secrets; `LOG_LEVEL` |
//! | [`ops`] | Prometheus' `/metrics`, and `/healthz` and `/readyz` with a check each |
//! | [`listen`], [`serve`] | TCP or a unix socket; HTTP/1.1 and HTTP/2; requests are finished at the end |
//! | [`limits`] | every limit, with name, unit and default |
//! | [`tls`] | certificates that are read again when their files change, on either side of a connection |
//! | [`ask`] | a client of small JSON services |
//! | [`dial`] | a gRPC channel over TCP, TLS or a unix socket |
//! | [`cli`], [`stop`] | `run CONFIG`, exit codes; SIGTERM and SIGINT |
//! | [`state_dir`] | a directory for one process at a time |
//!
//! It decides nothing about workspaces.

pub mod ask;
pub mod cli;
pub mod config;
pub mod dial;
pub mod limits;
pub mod listen;
pub mod log;
pub mod ops;
pub mod serve;
pub mod state_dir;
pub mod stop;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
