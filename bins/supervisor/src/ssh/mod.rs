//! The workspace's own SSH server, on a unix socket that only its user can open.
//!
//! ```text
//! gateway ── ssh.sock ──► trust: a certificate of its authority, or a known key
//!                           └─► connection ─┬─ session: shell, command, sftp ── a process of the workspace
//!                                           └─ forward: ports and sockets of the workspace's network
//! ```
//!
//! Whoever logs in may do what a task may, no more and no less: run programs as the workspace's user. What is limited is what one
//! client takes from the supervisor itself. The gateway refuses first, with a message and a number in its metrics; the limits here
//! are a quarter above its own, for what has just been closed there and not here yet.
//!
//! | limit | | reason |
//! |---|---|---|
//! | [`MOST_CONNECTIONS`] | 125 | the gateway makes one for each of its clients, of which a workspace has 100 |
//! | [`LOGIN_WITHIN`] | 30 s | a login takes milliseconds; who is slower holds a place |
//! | [`MOST_CHANNELS`] of a connection | 320 | programs and forwarded connections; the gateway opens 256 |
//! | [`MOST_LISTENERS`] of a connection | 80 | each has two sockets and a task; the gateway asks for 64, and the agent's is one more |
//! | [`WINDOW_BYTES`] of a channel | 2 MiB | what is on its way: 100 MB/s at 20 ms |
//! | [`MOST_HELD_BYTES`] of a channel | 2 MiB | input that a program does not read yet; up to a window and a half come on top |
//! | variables of a session | 64 of 4 KiB | more than clients send |
//! | a packet | 32 KiB | what RFC 4253 asks for, and OpenSSH sends |

mod channel;
mod command;
mod connection;
mod dial;
mod environment;
mod flow;
mod host_key;
mod inbound;
pub(crate) mod leader;
mod listen;
mod modes;
mod output;
mod program;
mod server;
mod session;
mod settings;
pub(crate) mod sftp;
mod socket;
mod stream;
mod terminal;
mod trust;

use std::time::Duration;

pub(crate) use self::server::Ssh;
pub(crate) use self::settings::SshSettings;

const MOST_CONNECTIONS: usize = 125;
const LOGIN_WITHIN: Duration = Duration::from_secs(30);
const MOST_CHANNELS: usize = 320;
const MOST_LISTENERS: usize = 80;
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const MOST_HELD_BYTES: usize = 2 * 1024 * 1024;
/// Before something is tried again for which there were no files left.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_room_for_those_of_the_gateway() {
        let gateway = gitpod_sshgw::SshLimits::default();
        for (ours, its) in [
            (MOST_CONNECTIONS, gateway.sessions_per_workspace),
            (MOST_CHANNELS, gateway.channels_per_session),
            (MOST_LISTENERS, gateway.listeners_per_session + 1),
        ] {
            assert!(ours > its && ours <= its + its / 4, "{ours}, {its}");
        }
    }
}
