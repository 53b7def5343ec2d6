//! TLS to servers of workspaces that speak HTTPS.

use std::fmt;
use std::io;

use async_trait::async_trait;

use super::connect::Connection;

/// Speaks TLS over a connection to a server of a workspace.
///
/// Called once for each new connection to a port whose protocol is
/// [`Https`](crate::Protocol::Https), after the [`Connector`](super::Connector) has
/// connected. What it gives carries HTTP/1.1 in the clear; an error is answered like a
/// server that does not answer. Dropping the future gives the connection up.
///
/// Servers in a workspace have certificates that nobody vouches for, so there is
/// nothing to verify: which server it is, the connector has made sure of.
///
/// The feature `tls` has one over rustls: `RustlsClient`.
///
/// # Source
///
/// Chosen by us; the reference proxy does not verify certificates of workspaces either.
#[async_trait]
pub trait TlsClient: fmt::Debug + Send + Sync + 'static {
    /// Speaks TLS over `connection`.
    ///
    /// # Errors
    ///
    /// If the server does not speak TLS, or ends the connection.
    async fn secure(&self, connection: Connection) -> io::Result<Connection>;
}
