//! Workspaces' SSH servers over TCP.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::authenticate::Authenticated;
use crate::login::SessionTarget;
use crate::upstream::{Upstream, UpstreamConnector, UpstreamError, sshd_address};
use crate::upstream_login::UpstreamLogin;

/// An [`UpstreamConnector`] that dials the address in the workspace's record.
///
/// Addresses that no other machine has (loopback, unspecified, link-local,
/// multicast) are refused: a record that holds one is wrong or hostile, and would
/// lead to the gateway's own servers.
///
/// ```
/// # use std::time::SystemTime;
/// # use gitpod_sshgw::*;
/// # fn connector(ca: UserCa, host_key: PublicKey) -> TcpUpstream {
/// TcpUpstream::new(move |_to| {
///     let certificate = ca.certify("gitpod", SystemTime::now());
///     let certificate = certificate.map_err(|why| UpstreamError::NoCredential(why.into()))?;
///     Ok(UpstreamLogin::new("gitpod", certificate, host_key.clone()))
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct TcpUpstream {
    logins: Arc<Logins>,
    port: Option<u16>,
    own_addresses: OwnAddresses,
    patience: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OwnAddresses {
    Refused,
    Dialled,
}

impl TcpUpstream {
    /// Dials the ports of [`sshd_address`], waits 5 s, and logs in as `logins` says,
    /// which is asked for every connection.
    #[must_use]
    pub fn new(
        logins: impl Fn(&Authenticated) -> Result<UpstreamLogin, UpstreamError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            logins: Arc::new(logins),
            port: None,
            own_addresses: OwnAddresses::Refused,
            patience: PATIENCE,
        }
    }

    /// Dials `port`, where workspaces have another one.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Waits `patience` for a connection.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Dials this machine as well, where workspaces run on it.
    #[must_use]
    pub fn with_workspaces_on_this_machine(mut self) -> Self {
        self.own_addresses = OwnAddresses::Dialled;
        self
    }

    fn address_of(&self, to: &Authenticated) -> Option<SocketAddr> {
        let mut address = sshd_address(to.info(), to.target())?;
        if let (Some(port), SessionTarget::Workspace) = (self.port, to.target()) {
            address.set_port(port);
        }
        let dialled = self.own_addresses == OwnAddresses::Dialled || is_elsewhere(address.ip());
        dialled.then_some(address)
    }
}

impl fmt::Debug for TcpUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpUpstream")
            .field("port", &self.port)
            .field("own_addresses", &self.own_addresses)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

type Logins = dyn Fn(&Authenticated) -> Result<UpstreamLogin, UpstreamError> + Send + Sync;

#[async_trait]
impl UpstreamConnector for TcpUpstream {
    async fn connect(&self, to: &Authenticated) -> Result<Upstream, UpstreamError> {
        let address = self.address_of(to).ok_or(UpstreamError::Absent)?;
        let dialled = timeout(self.patience, TcpStream::connect(address)).await;
        let dialled = dialled.map_err(|_| UpstreamError::TimedOut)?;
        let stream = dialled.map_err(|why| UpstreamError::Unreachable(why.into()))?;
        // A key stroke is a packet of its own.
        let quick = stream.set_nodelay(true);
        quick.map_err(|why| UpstreamError::Unreachable(why.into()))?;
        Ok(Upstream::new(stream, (self.logins)(to)?))
    }
}

/// Whether `address` can be another machine's.
fn is_elsewhere(address: IpAddr) -> bool {
    let own = match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    let canonical = address.to_canonical();
    !own && !canonical.is_unspecified() && !canonical.is_multicast()
}

/// As the contract of [`UpstreamConnector`] expects.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_not_elsewhere() {
        let cases = [
            ("10.0.0.7", true),
            ("fd00::7", true),
            ("::ffff:10.0.0.7", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false), // the same in another spelling
            ("0.0.0.0", false),
            ("::", false),
            ("169.254.169.254", false), // clouds' metadata
            ("fe80::1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_elsewhere(text.parse().unwrap()), expected, "{text}");
        }
    }
}
