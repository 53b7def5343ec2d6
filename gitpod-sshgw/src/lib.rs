//! Login names and authentication of an SSH gateway to workspaces.
//!
//! `ssh pink-panda-ns35kd21@example.com` reaches a gateway, which finds the
//! workspace of that name, checks the owner's password or key, and connects to the
//! SSH server in the workspace.
//!
//! ```text
//!  user name ─▶ LoginName ─▶ WorkspaceInfoProvider ─▶ SshAuthenticator ─▶ Authenticated
//!  credential      │ not an id      │ unknown, not running    │ wrong              │
//!                  └── Refusal ◀────┴─────────────────────────┘                    ▼
//!                        │                                             UpstreamConnector
//!                        ▼                                                         │
//!                  AuthAttempts ─▶ Reply: failure, rejected, disconnect            ▼
//!                                                                    the workspace's sshd
//! ```
//!
//! # Example
//!
//! ```
//! # use std::sync::Arc;
//! # use gitpod_routing::{MemoryProvider, OwnerToken, WorkspaceInfo};
//! # use gitpod_sshgw::*;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let workspaces = MemoryProvider::new();
//! let info = WorkspaceInfo::new("pink-panda-ns35kd21".parse()?, "i-1".parse()?, OwnerToken::new("s3cret"));
//! workspaces.insert(info.running_at([10, 0, 0, 7].into()));
//! let authenticate = Authenticate::new(Arc::new(workspaces), Arc::new(OwnerAuthenticator::new()));
//!
//! let wrong = authenticate.attempt("pink-panda-ns35kd21", Credential::Password(b"guess")).await;
//! assert_eq!(wrong.err(), Some(Refusal::Continue(ErrorCode::AuthFailed)));
//! let right = authenticate.attempt("pink-panda-ns35kd21#s3cret", Credential::None).await?;
//! assert!(matches!(right, Accepted::LoggedIn(_)));
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! - It does not speak SSH: a server verifies signatures and asks this crate.
//! - It does not bound time or connections, only attempts.
//! - It understands no user certificates, and no options in lines of `authorized_keys`:
//!   such lines are accepted, but never match.
//!
//! # Features
//!
//! None by default.
//!
//! - `tcp`: `TcpUpstream`, which dials workspaces' addresses.
//! - `testing`: `check_authenticator` and `check_upstream_connector`, which
//!   implementations of the two traits must pass.

mod attempts;
mod authenticate;
mod authenticator;
mod authorized_keys;
mod code;
#[cfg(feature = "testing")]
mod conformance;
mod credential;
mod host_key;
#[cfg(feature = "server")]
mod limits;
mod login;
#[cfg(feature = "server")]
mod observer;
#[cfg(feature = "server")]
mod policy;
#[cfg(feature = "server")]
mod private_key;
mod public_key;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "server")]
mod upstream;
#[cfg(feature = "server")]
mod upstream_login;
#[cfg(feature = "server")]
mod user_ca;

pub use self::attempts::{AuthAttempts, Reply};
pub use self::authenticate::{Accepted, Authenticate, Authenticated, Refusal, Rules};
pub use self::authenticator::{AuthenticatorError, OwnerAuthenticator, SshAuthenticator, Verdict};
pub use self::code::ErrorCode;
#[cfg(all(feature = "testing", feature = "server"))]
pub use self::conformance::check_upstream_connector;
#[cfg(feature = "testing")]
pub use self::conformance::{Violation, check_authenticator};
pub use self::credential::{Credential, SignedKey};
pub use self::host_key::preferred_host_key;
#[cfg(feature = "server")]
pub use self::limits::SshLimits;
pub use self::login::{LoginName, LoginNameError, LoginParts, NameForm, SessionTarget};
#[cfg(feature = "server")]
pub use self::observer::{
    Heard, IgnoreSessions, LoginMethod, MemorySessions, SessionEnd, SessionInfo, SessionObserver,
    SessionSummary,
};
#[cfg(feature = "server")]
pub use self::policy::{ChannelAsk, ChannelPolicy, NoForwards, UsualChannels};
#[cfg(feature = "server")]
pub use self::private_key::{PrivateKey, PrivateKeyError};
pub use self::public_key::{PublicKey, PublicKeyError};
#[cfg(feature = "server")]
pub use self::server::Gateway;
#[cfg(feature = "tcp")]
pub use self::tcp::TcpUpstream;
#[cfg(feature = "server")]
pub use self::upstream::{
    ByteStream, MemoryUpstream, Upstream, UpstreamConnector, UpstreamError, sshd_address,
};
#[cfg(feature = "server")]
pub use self::upstream_login::{UpstreamCredential, UpstreamLogin};
#[cfg(feature = "server")]
pub use self::user_ca::{UserCa, UserCaError, UserCertificate};
