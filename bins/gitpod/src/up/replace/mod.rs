//! One `up` takes over from another: `gitpod up --replace`.
//!
//! ```text
//! new                                      old
//! checks all it can ── hello ────────────▶ may it?
//!                                          accepts nobody; closes manager, bridge, relay, database, lock
//! lock, records     ◀── listeners ─────────┘
//! serves ───────────── serving ──────────▶ keeps its connections, as long as they and its time last
//! ```
//!
//! If the new one ends before it serves, the old one takes everything back.
//!
//! Nobody is refused in between: who comes waits in the queue of the listener, which is never closed. Workspaces do not
//! notice. What is asked on a connection that the old one has kept is [passed on](passing) to the new one; what
//! lasts is [watched over](follow) by what the new one says.

mod fds;
mod follow;
mod offer;
mod passing;
mod take;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub(super) use self::follow::{Followed, SwitchedActivity};
pub(super) use self::offer::{Kept, Offer, Successor};
pub(super) use self::passing::{Passing, Secret, Target};
pub(super) use self::take::{Predecessor, take};

/// Where the old one is asked, in the state directory.
const SOCKET: &str = "replace.sock";
/// Both must speak the same.
const PROTOCOL: u32 = 1;

/// The first word of the new one.
#[derive(Debug, Deserialize, Serialize)]
struct Hello {
    protocol: u32,
    pid: u32,
    http: SocketAddr,
    ssh: Option<SocketAddr>,
    /// What marks requests that are passed on.
    secret: String,
}

/// What the old one answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    /// It goes on.
    Refused(String),
    /// It has let go. With the message come the listeners: of HTTP, of SSH if there is one, of commands.
    Given {
        /// Whether there is one of SSH.
        ssh: bool,
    },
}

/// The last word of the new one.
const SERVING: &[u8] = b"serving\n";
