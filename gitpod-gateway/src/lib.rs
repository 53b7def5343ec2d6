//! Certificates of a [Nebula] overlay network, through which a gateway reaches workspaces.
//!
//! A workspace runs in a private network. Its host makes a key, sends the public
//! half, and gets a certificate: *env-1 is 10.128.1.1, in group environment, until
//! tomorrow*. From then on the real `nebula` process carries its traffic to the proxy.
//!
//! ```text
//!  host                           gateway                        any other host
//!  HostKey ── public key ──▶ HostRequest
//!                            Authority::sign ◀── CaSigner
//!  Certificate ◀── PEM ────  within its bounds
//!      └───────────────────── handshake ──────────────────▶ TrustBundle::verify
//!                                                            issuer, signature, life,
//!                                                            bounds, blocklist
//! ```
//!
//! # Example
//!
//! ```
//! # use std::sync::Arc;
//! # use gitpod_gateway::*;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now = "2026-11-21T12:00:00Z".parse()?;
//! let signer = Arc::new(MemorySigner::new(SigningKey::generate()?));
//! let request = AuthorityRequest::new("example").with_groups(["environment", "proxy"]);
//! let authority = Authority::create(request, signer, now).await?;
//!
//! let host_key = HostKey::generate()?; // on the host, and it stays there
//! let request = HostRequest::new("env-1", host_key.public_key(), "10.128.1.1/16".parse()?);
//! let certificate = authority.sign(request.with_groups(["environment"]), now).await?;
//!
//! let trusted = TrustBundle::from_pem(&authority.certificate().to_pem())?;
//! assert_eq!(trusted.verify(&certificate, now)?.details().name, "env-1");
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! - It carries no traffic: `nebula` does.
//! - It does not read version 2 certificates, P-256 keys or encrypted keys, and says so.
//! - It keeps no record of what was signed. To block a certificate later, keep its
//!   [`Fingerprint`].
//! - It reads no files and no clock: text and `now` are arguments.
//!
//! # Features
//!
//! None by default. `testing` adds `check_ca_signer`, which every [`CaSigner`] must pass.
//!
//! [Nebula]: https://github.com/slackhq/nebula

mod authority;
mod certificate;
mod cidr;
#[cfg(feature = "testing")]
mod conformance;
mod constraint;
mod fingerprint;
mod key;
mod pem;
mod request;
mod signer;
mod verify;
mod wire;

pub use self::authority::{Authority, AuthorityError, SignError};
pub use self::certificate::{Certificate, CertificateError, Details};
pub use self::cidr::{Cidr, CidrError};
#[cfg(feature = "testing")]
pub use self::conformance::{Violation, check_ca_signer};
pub use self::constraint::ConstraintError;
pub use self::fingerprint::{Fingerprint, FingerprintError};
pub use self::key::{HostKey, KeyError, PublicKey, Signature, SigningKey};
pub use self::pem::PemError;
pub use self::request::{AuthorityRequest, HostRequest};
pub use self::signer::{CaSigner, MemorySigner, SignerError};
pub use self::verify::{TrustBundle, TrustError, Verified, VerifyError};

/// An error of a kind we do not choose.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
