//! An SSH gateway to workspaces.
//!
//! `ssh pink-panda-ns35kd21@example.com` reaches a [`Gateway`], which finds the
//! workspace of that name, checks the owner's key or token, logs in to the SSH server in
//! the workspace, and sends on what either side says.
//!
//! ```text
//!  user name ─▶ LoginName ─▶ WorkspaceInfoProvider ─▶ SshAuthenticator ─▶ Authenticated
//!  credential      │ not an id      │ unknown                │ wrong              │
//!                  └── Refusal ◀────┴────────────────────────┘                    ▼
//!                        │                                             UpstreamConnector
//!                        ▼                                                        │
//!                  one answer to strangers                                        ▼
//!                                                      Upstream: bytes, UpstreamLogin
//!  channels, requests ─▶ ChannelPolicy ─▶ the same, in order, over one connection ─▶ sshd
//! ```
//!
//! # Example
//!
//! Who is let in, without a network:
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
//! And a gateway for them:
//!
//! ```no_run
//! # #[cfg(feature = "tcp")]
//! # async fn serve(authenticate: gitpod_sshgw::Authenticate, login: gitpod_sshgw::UpstreamLogin) -> Result<(), Box<dyn std::error::Error>> {
//! # use std::sync::Arc;
//! # use gitpod_sshgw::*;
//! let connector = TcpUpstream::new(move |_to| Ok(login.clone()));
//! let gateway = Gateway::new(authenticate, Arc::new(connector))
//!     .with_host_keys([PrivateKey::generate()?]);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:2200").await?;
//! gateway.serve(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! - It runs no program, opens no file, and neither listens nor dials for clients.
//! - It understands no user certificates of clients, and no options in lines of
//!   `authorized_keys`: such lines are accepted, but never match.
//! - It does not say of an offered key whether it would do: every key is asked to sign, so
//!   that nobody finds out with a copied public key what exists. A client that has several
//!   signs with each in turn.
//!
//! What its SSH library does not surface, and so does not pass:
//!
//! - channel and global requests that neither RFC 4254 nor OpenSSH's usual programs
//!   have, `break` and `eow@openssh.com` among them: they are answered with a failure, or
//!   not sent on where nobody waits for an answer. `hostkeys-00@openssh.com` of the
//!   workspace does not pass on purpose;
//! - the words of a refused channel: its reason passes, the text is the library's;
//! - whether a request wanted an answer: those that start something are asked with one;
//! - in a channel that the gateway closes first, some kilobytes stay until the connection
//!   ends.
//!
//! # Features
//!
//! None by default.
//!
//! - `server`: `Gateway`, the connector's trait, keys and certificates.
//! - `rsa`: RSA keys of users and hosts, with SHA-2 signatures.
//! - `tcp`: `TcpUpstream`, which dials workspaces' addresses.
//! - `testing`: `check_authenticator`, `check_upstream_connector`,
//!   `check_channel_policy` and `check_session_observer`, which implementations of the
//!   traits must pass.
#![cfg_attr(
    not(feature = "server"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "`Gateway` needs the feature"
    )
)]

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
#[cfg(feature = "testing")]
pub use self::conformance::{Violation, check_authenticator};
#[cfg(all(feature = "testing", feature = "server"))]
pub use self::conformance::{
    check_channel_policy, check_session_observer, check_upstream_connector,
};
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
pub use self::server::{Gateway, Parting};
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
