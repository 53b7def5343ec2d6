//! The workspace's own SSH server, on a unix socket that only its user can open.
//!
//! ```text
//! gateway ── ssh.sock ──► trust: a certificate of its authority, or a known key
//!                           └─► connection ─┬─ session: shell, command, sftp ── a process of the workspace
//!                                           └─ forward: ports and sockets of the workspace's network
//! ```
//!
//! Whoever logs in may do what a task may, no more and no less: run programs as the workspace's user. What is limited is what one
//! client takes from the supervisor itself:
//!
//! | limit | | reason |
//! |---|---|---|
//! | [`MOST_CONNECTIONS`] | 64 | the gateway makes one for each of its clients |
//! | [`LOGIN_WITHIN`] | 30 s | a login takes milliseconds; who is slower holds a place |
//! | [`MOST_CHANNELS`] of a connection | 256 | browsers behind `-D` open dozens |
//! | [`MOST_SESSIONS`] of a connection | 64 | each is at least one process |
//! | [`MOST_HELD_BYTES`] of a channel | 4 MiB | twice the window: input that a program does not read yet |
//! | variables of a session | 64 of 4 KiB | more than clients send |
//! | a packet | 32 KiB | what RFC 4253 asks for, and OpenSSH sends |

mod channel;
mod command;
mod connection;
mod environment;
mod host_key;
mod inbound;
pub(crate) mod leader;
mod modes;
mod output;
mod program;
mod server;
mod session;
mod settings;
mod terminal;
mod trust;

use std::time::Duration;

pub(crate) use self::server::Ssh;
pub(crate) use self::settings::SshSettings;

const MOST_CONNECTIONS: usize = 64;
const LOGIN_WITHIN: Duration = Duration::from_secs(30);
const MOST_CHANNELS: usize = 256;
const MOST_SESSIONS: usize = 64;
const MOST_HELD_BYTES: usize = 4 * 1024 * 1024;
