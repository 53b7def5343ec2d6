//! Who hears of sessions.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitpod_routing::{InstanceId, WorkspaceId};

use crate::code::ErrorCode;
use crate::login::SessionTarget;

/// Hears who comes and goes, for an audit log or statistics.
///
/// The gateway calls it from the task of the connection: return at once. Calls for one
/// session come in order; a session that was opened is closed exactly once.
/// Commands, data and credentials are never told.
///
/// # Source
///
/// Chosen by us.
pub trait SessionObserver: fmt::Debug + Send + Sync + 'static {
    /// A client at `peer` left or was sent away without having been let in.
    fn not_admitted(&self, peer: SocketAddr, why: ErrorCode) {
        let _ = (peer, why);
    }

    /// Somebody was let in.
    fn opened(&self, session: &SessionInfo) {
        let _ = session;
    }

    /// The session is over.
    fn closed(&self, session: &SessionInfo, summary: &SessionSummary) {
        let _ = (session, summary);
    }
}

/// Whose session it is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Differs from that of every other session of this gateway.
    pub number: u64,
    /// Where the client is.
    pub peer: SocketAddr,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its run.
    pub instance: InstanceId,
    /// Which system of it.
    pub target: SessionTarget,
    /// By what right.
    pub method: LoginMethod,
}

/// By what somebody was let in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LoginMethod {
    /// The owner's token in the user name.
    Name,
    /// The owner's token as password.
    Password,
    /// A key that signed.
    Key,
}

/// What a session was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// How long it lasted.
    pub lasted: Duration,
    /// Bytes in channels, from the client to the workspace.
    pub bytes_up: u64,
    /// Bytes in channels, from the workspace to the client.
    pub bytes_down: u64,
    /// Channels opened by either side.
    pub channels: u64,
    /// Why it ended.
    pub end: SessionEnd,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The client left, or its connection broke.
    Client,
    /// The workspace stopped, or was started anew.
    Stopped,
    /// What the client was let in by opens the workspace no longer.
    Revoked,
    /// Nothing was sent for too long.
    Idle,
    /// The SSH server in the workspace ended the connection.
    Lost,
    /// Too many sessions in this workspace.
    TooMany,
    /// The gateway shuts down.
    Shutdown,
}

impl SessionEnd {
    /// The value of the label `why`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Stopped => "stopped",
            Self::Revoked => "revoked",
            Self::Idle => "idle",
            Self::Lost => "lost",
            Self::TooMany => "too_many",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A [`SessionObserver`] that is not interested.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct IgnoreSessions;

impl IgnoreSessions {
    /// The observer.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl SessionObserver for IgnoreSessions {}

/// A [`SessionObserver`] that keeps what it hears, so it is for tests.
#[derive(Clone, Debug, Default)]
pub struct MemorySessions {
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// What a [`MemorySessions`] heard.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// A client was not let in.
    NotAdmitted(ErrorCode),
    /// A session was opened.
    Opened(SessionInfo),
    /// It was closed.
    Closed(SessionInfo, SessionSummary),
}

impl MemorySessions {
    /// With nothing heard.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was heard, in order.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.with(|heard| heard.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Heard>) -> T) -> T {
        let heard = self.heard.lock();
        change(&mut heard.unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl SessionObserver for MemorySessions {
    fn not_admitted(&self, _peer: SocketAddr, why: ErrorCode) {
        self.with(|heard| heard.push(Heard::NotAdmitted(why)));
    }

    fn opened(&self, session: &SessionInfo) {
        self.with(|heard| heard.push(Heard::Opened(session.clone())));
    }

    fn closed(&self, session: &SessionInfo, summary: &SessionSummary) {
        self.with(|heard| heard.push(Heard::Closed(session.clone(), *summary)));
    }
}
