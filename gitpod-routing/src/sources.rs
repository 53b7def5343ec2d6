//! How much of a listener one client may take.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

/// Counts connections by where they come from, for a listener to turn the greedy away.
///
/// A source is an IPv4 address, or the first 64 bits of an IPv6 address, which is what one
/// customer gets. Loopback is not counted unless you [say so](Self::with_loopback): whoever is
/// there could take everything anyway. Behind a proxy all clients are one source, so count there.
///
/// ```
/// use gitpod_routing::Sources;
///
/// let sources = Sources::new(2);
/// let client = [192, 0, 2, 1].into();
/// let (_one, two) = (sources.admit(client), sources.admit(client));
/// assert!(sources.admit(client).is_none()); // close it
/// drop(two);
/// assert!(sources.admit(client).is_some());
/// ```
///
/// Each connection that is turned away counts in
/// `gitpod_ws_proxy_connections_refused_total`.
#[derive(Clone)]
pub struct Sources(Arc<Shared>);

struct Shared {
    most: usize,
    most_of_loopback: Option<usize>,
    open: Mutex<HashMap<IpAddr, usize, RandomState>>,
}

impl Sources {
    /// With at most `connections` open for each source. 256 are many for a browser, which
    /// opens six to a host, and few for a server.
    #[must_use]
    pub fn new(connections: usize) -> Self {
        Self(Arc::new(Shared {
            most: connections,
            most_of_loopback: None,
            open: Mutex::default(),
        }))
    }

    /// Also counts clients on this host, with at most `connections` for each of its addresses.
    /// Forgets what is open.
    #[must_use]
    pub fn with_loopback(self, connections: usize) -> Self {
        Self(Arc::new(Shared {
            most: self.0.most,
            most_of_loopback: Some(connections),
            open: Mutex::default(),
        }))
    }

    /// A place for a connection from `client`, to be dropped with it; `None` if its source
    /// has as many as it may.
    #[must_use]
    pub fn admit(&self, client: IpAddr) -> Option<Seat> {
        let client = client.to_canonical();
        let most = match client.is_loopback() {
            false => self.0.most,
            true => match self.0.most_of_loopback {
                Some(most) => most,
                None => return Some(Seat(None)),
            },
        };
        let source = source_of(client);
        let mut open = self.0.lock();
        let count = open.entry(source).or_default();
        if *count >= most {
            if *count == 0 {
                open.remove(&source);
            }
            drop(open);
            metrics::counter!("gitpod_ws_proxy_connections_refused_total").increment(1);
            return None;
        }
        *count += 1;
        Some(Seat(Some((Arc::clone(&self.0), source))))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize, RandomState>> {
        // Nothing in the table is half done when a thread panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("most", &self.0.most)
            .finish_non_exhaustive()
    }
}

/// Of one connection. See [`Sources::admit`].
pub struct Seat(Option<(Arc<Shared>, IpAddr)>);

impl Seat {
    /// The source that it counts for: its address, or the first of its network. `None` if it is
    /// not counted.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.0.as_ref().map(|(_shared, source)| *source)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((shared, source)) = &self.0 else {
            return;
        };
        let mut open = shared.lock();
        if let Some(count) = open.get_mut(source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(source);
            }
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}

fn source_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_is_an_address_or_a_customer_of_ipv6_and_never_this_host() {
        let sources = Sources::new(1);
        let _four = sources.admit(ip("192.0.2.1")).unwrap();
        let six = sources.admit(ip("2001:db8::1")).unwrap();
        assert_eq!(six.source(), Some(ip("2001:db8::")));
        let loopback = sources.admit(ip("127.0.0.1")).unwrap();
        assert_eq!(loopback.source(), None);
        let cases = [
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
            ("127.0.0.1", true),
            ("::1", true),
        ];
        for (client, expected) in cases {
            assert_eq!(sources.admit(ip(client)).is_some(), expected, "{client}");
        }
        assert!(Sources::new(0).admit(ip("192.0.2.1")).is_none());
    }

    #[test]
    fn this_host_is_counted_where_that_is_wanted() {
        let sources = Sources::new(5).with_loopback(1);
        let _one = sources.admit(ip("127.0.0.1")).unwrap();
        assert!(sources.admit(ip("127.0.0.1")).is_none());
        assert!(sources.admit(ip("127.0.0.2")).is_some());
    }

    #[test]
    fn sources_without_connections_take_no_memory() {
        let sources = Sources::new(1);
        drop(sources.admit(ip("192.0.2.1")));
        assert!(sources.0.lock().is_empty());
    }
}
