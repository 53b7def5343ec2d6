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
//! - Without features it keeps no record of what was signed. To block a certificate
//!   later, keep its [`Fingerprint`], or use a `Registry`.
//! - It reads no clock: `now` is an argument. Only `FileStore` reads files.
//! - It does not sign bundles for hosts: they come over TLS. One network has one authority
//!   for its life: how one follows another comes later.
//!
//! # Features
//!
//! | none by default | |
//! |---|---|
//! | `network` | `Registry`: hosts join with a token, get certificates and what has changed, are blocked; `render`: what `nebula` is to read; `NetworkStore` |
//! | `file` | `FileStore`: a network's state in one file |
//! | `testing` | `check_ca_signer`, `check_network_store`: does your own adapter keep its promises? |
//!
//! [Nebula]: https://github.com/slackhq/nebula

mod authority;
mod certificate;
mod cidr;
#[cfg(feature = "testing")]
mod conformance;
mod constraint;
#[cfg(feature = "file")]
mod file_store;
mod fingerprint;
#[cfg(feature = "network")]
mod host;
mod key;
#[cfg(feature = "network")]
mod message;
mod pem;
#[cfg(feature = "network")]
mod registry;
#[cfg(feature = "network")]
mod render;
mod request;
mod signer;
#[cfg(feature = "network")]
mod store;
#[cfg(feature = "network")]
mod token;
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

#[cfg(all(feature = "network", feature = "testing"))]
pub use self::conformance::check_network_store;
#[cfg(feature = "file")]
pub use self::file_store::FileStore;
#[cfg(feature = "network")]
pub use self::{
    host::{Host, HostKind, HostState, Issued, NewHost, NoHostKind},
    message::{ConfigBundle, EnrollRequest, HostCall, Lighthouse, Wanted},
    registry::{NetworkSettings, Registry, RegistryError},
    render::{NodeOptions, render},
    store::{Condition, Item, MemoryStore, NetworkStore, StoreError, Write},
    token::{EnrollmentToken, NoRandom},
};

/// An error of a kind we do not choose.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
