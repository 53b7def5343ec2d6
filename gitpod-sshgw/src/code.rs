//! What a gateway counts failed logins by.

use std::fmt;

/// Why a login came to nothing, as metrics name it. Clients are told nothing of it.
///
/// **Source:** label `error_type` of the reference system's metrics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// There is no such workspace, though the name has the form of one in it.
    NotFound,
    /// The name is not that of a workspace.
    InvalidId,
    /// The workspace does not run.
    NotRunning,
    /// The token, password or key is not the workspace's.
    AuthFailed,
    /// There are no credentials for the workspace's own SSH server.
    CreateKeyFailed,
    /// The workspace's own SSH server was not reached.
    ConnectFailed,
    /// Everything else: the client left or made too many attempts, or something of ours failed.
    Other,
}

impl ErrorCode {
    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "WS_NOTFOUND",
            Self::InvalidId => "WS_ID_INVALID",
            Self::NotRunning => "WS_NOT_RUNNING",
            Self::AuthFailed => "AUTH_FAILED",
            Self::CreateKeyFailed => "CREATE_KEY_FAILED",
            Self::ConnectFailed => "CONN_FAILED",
            Self::Other => "OTHERS",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
