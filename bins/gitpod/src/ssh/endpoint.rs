//! Where the SSH gateway listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address of the gateway, as a client on this machine uses it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint(SocketAddr);

impl Endpoint {
    /// Of a gateway that listens at `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
            IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
            _ => address,
        })
    }

    /// Where to connect to.
    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }

    /// What to type to get into workspace `id`.
    pub(crate) fn command_line(self, id: &str) -> String {
        match self.0.port() {
            22 => format!("ssh {id}@{}", HostName(self.0.ip())),
            port => format!("ssh -p {port} {id}@{}", HostName(self.0.ip())),
        }
    }
}

/// An address as people write it.
struct HostName(IpAddr);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Ipv4Addr::LOCALHOST {
            f.write_str("localhost")
        } else {
            fmt::Display::fmt(&self.0, f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_what_a_user_types() {
        for (address, expected) in [
            ("127.0.0.1:2200", "ssh -p 2200 x@localhost"),
            ("127.0.0.1:22", "ssh x@localhost"),
            ("0.0.0.0:2200", "ssh -p 2200 x@localhost"),
            ("[::]:2200", "ssh -p 2200 x@::1"),
            ("192.0.2.7:2200", "ssh -p 2200 x@192.0.2.7"),
        ] {
            let endpoint = Endpoint::new(address.parse().unwrap());
            assert_eq!(endpoint.command_line("x"), expected);
        }
    }
}
