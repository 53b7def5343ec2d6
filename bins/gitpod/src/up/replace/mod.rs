//! One `up` takes over from another: `gitpod up --replace`.
//!
//! ```text
//! new                                      old
//! checks all it can ── hello ────────────▶ may it?
//!                                          accepts nobody; closes manager, bridge, relay, database, lock
//! lock, records     ◀── listeners ─────────┘
//! opens everything ─── ready ────────────▶ is it in time?
//! serves            ◀── go ──────────────── keeps its connections, as long as they and its time last
//! ```
//!
//! The old one's `go` decides. If the new one ends before that, or takes [longer than it has said](Hello), the old one takes
//! everything back: it says `too late`, sees to it that the new one is gone – by force if it does not go by itself, as one
//! that hangs still holds the lock, and may wake up at any time – and goes on. The new one waits as long for the listeners.
//!
//! Nobody is refused in between: who comes waits in the queue of the listener, which is never closed. Workspaces do not
//! notice. What is asked on a connection that the old one has kept is [passed on](passing) to the new one; what
//! lasts is [watched over](follow) by what the new one says.

mod fds;
mod follow;
mod offer;
mod passing;
mod start;
mod take;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub(super) use self::follow::{Followed, SwitchedActivity};
pub(super) use self::offer::{Kept, NotTaken, Offer, Successor};
pub(super) use self::passing::{Passing, Secret, Switch, Target};
pub(super) use self::start::SwitchedStarter;
pub(super) use self::take::{Predecessor, take};

/// Where the old one is asked, in the state directory.
pub(super) const SOCKET: &str = "replace.sock";
/// Both must speak the same.
const PROTOCOL: u32 = 2;

/// The first word of the new one.
#[derive(Debug, Deserialize, Serialize)]
struct Hello {
    protocol: u32,
    pid: u32,
    http: SocketAddr,
    ssh: Option<SocketAddr>,
    /// What marks requests that are passed on.
    secret: String,
    /// How long it may take from when it has the listeners until it is ready, in milliseconds.
    within: u64,
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
        /// What else marks requests that are passed on: by those who were replaced before.
        #[serde(default)]
        secrets: Vec<String>,
    },
}

/// The last word of the new one: nothing can fail any more.
const READY: &[u8] = b"ready\n";
/// The last word of the old one: the new one serves.
const GO: &[u8] = b"go\n";
/// Or: the old one goes on.
const TOO_LATE: &[u8] = b"too late\n";
