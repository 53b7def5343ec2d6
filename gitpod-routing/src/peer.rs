//! Who is at the other end of the connection.

use std::net::SocketAddr;

/// Address of the client, as seen by the listener.
///
/// A listener puts it in the extensions of each request; `X-Forwarded-For` is made of it.
/// Without it, that header is left out.
///
/// ```
/// # use gitpod_routing::Peer;
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(Peer("192.0.2.7:4711".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a newtype that callers make and take apart"
)]
pub struct Peer(pub SocketAddr);
