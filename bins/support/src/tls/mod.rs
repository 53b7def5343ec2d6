//! Certificates in files that may be replaced while we run.

mod client;
mod files;
mod server;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use self::client::ClientTls;
pub use self::files::Files;
pub use self::server::ServerTls;

/// The one provider of cryptography of all our binaries.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
