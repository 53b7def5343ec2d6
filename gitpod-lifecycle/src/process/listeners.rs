//! Sockets that listen for TCP connections, and connections that were accepted,
//! as `/proc/net` says.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A TCP socket.
///
/// **Source:** proc(5), `/proc/net/tcp`; proc_net_tcp of the kernel's documentation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Socket {
    /// Its own address. For a listener the unspecified one means: any.
    pub local: SocketAddr,
    /// The address at its other end; port 0 for a listener.
    pub remote: SocketAddr,
    /// Whether it listens, or is an end of a connection.
    pub state: SocketState,
    /// Its number, by which the processes that hold it are found. 0 while nobody
    /// has accepted it.
    pub inode: u64,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketState {
    /// It waits for connections.
    Listening,
    /// It is an end of a connection that both sides keep open.
    Connected,
    /// It is an end of a connection that one side has closed.
    Closing,
}

/// All TCP sockets of this network namespace.
///
/// A table that cannot be read (no IPv6) counts as empty.
#[must_use]
pub fn tcp_sockets() -> Vec<Socket> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut sockets = parse_table(&read("/proc/net/tcp"));
    sockets.extend(parse_table(&read("/proc/net/tcp6")));
    sockets
}

/// Reads a table in the form of `/proc/net/tcp` or `tcp6`. Lines of another
/// form are left out.
#[must_use]
pub fn parse_table(text: &str) -> Vec<Socket> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    fields.next()?.strip_suffix(':')?;
    let local = parse_address(fields.next()?)?;
    let remote = parse_address(fields.next()?)?;
    let state = match fields.next()? {
        LISTEN => SocketState::Listening,
        ESTABLISHED | BEING_ESTABLISHED => SocketState::Connected,
        _ => SocketState::Closing,
    };
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket {
        local,
        remote,
        state,
        inode,
    })
}

const LISTEN: &str = "0A";
const ESTABLISHED: &str = "01";
const BEING_ESTABLISHED: &str = "03";

fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(address)?.to_ne_bytes())),
        32 => IpAddr::V6(parse_v6(address)?),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let mut octets = [0; 16];
    for (at, chunk) in octets.chunks_exact_mut(4).enumerate() {
        let digits = text.get(8 * at..8 * at + 8)?;
        chunk.copy_from_slice(&word(digits)?.to_ne_bytes());
    }
    Some(Ipv6Addr::from(octets))
}

/// The kernel prints each 32 bits as a number in the machine's own byte order.
fn word(digits: &str) -> Option<u32> {
    let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| all_hex)
}

impl Socket {
    /// Whether a connection to `target` could end here.
    ///
    /// On the safe side: a listener on `[::]` counts for IPv4 too, as the table
    /// does not say whether it is for IPv6 only.
    #[must_use]
    pub fn could_answer(&self, target: SocketAddr) -> bool {
        if self.state != SocketState::Listening || self.local.port() != target.port() {
            return false;
        }
        match (self.local.ip(), target.ip()) {
            (IpAddr::V4(own), IpAddr::V4(wanted)) => own.is_unspecified() || own == wanted,
            (IpAddr::V6(own), IpAddr::V6(wanted)) => own.is_unspecified() || own == wanted,
            (IpAddr::V6(own), IpAddr::V4(wanted)) => {
                own.is_unspecified()
                    || own
                        .to_ipv4_mapped()
                        .is_some_and(|own| own.is_unspecified() || own == wanted)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    /// Whether it is the other end of the connection whose own ends are `ours`
    /// and `theirs`.
    #[must_use]
    pub fn is_peer_of(&self, ours: SocketAddr, theirs: SocketAddr) -> bool {
        let plain =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        self.state != SocketState::Listening
            && plain(self.local) == plain(theirs)
            && plain(self.remote) == plain(ours)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0
   2: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 0 1 0000000000000000 20 4 30 10 -1
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 8 1 0 100 0 0 10 0
";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[cfg(target_endian = "little")] // as these tables were recorded
    #[test]
    fn tables_are_read() {
        let sockets: Vec<_> = [TCP, TCP6].into_iter().flat_map(parse_table).collect();
        let seen: Vec<_> = sockets
            .iter()
            .map(|s| (s.local, s.state, s.inode))
            .collect();
        use SocketState::{Connected, Listening};
        assert_eq!(
            seen,
            [
                (at("127.0.0.1:3000"), Listening, 31337),
                (at("0.0.0.0:22"), Listening, 99),
                (at("127.0.0.1:3000"), Connected, 0),
                (at("[::1]:8080"), Listening, 7),
                (at("[::ffff:127.0.0.1]:8081"), Listening, 8),
            ]
        );
        let peer = sockets
            .iter()
            .find(|s| s.is_peer_of(at("127.0.0.1:54321"), at("127.0.0.1:3000")));
        assert_eq!(peer.map(|s| s.inode), Some(0));
    }

    #[test]
    fn anything_else_is_left_out() {
        for text in [
            "",
            "sl",
            "0:",
            "0: 1:2 3:4 0A",
            "0: 0100007F:XXXX 0:0 0A a b c d e f",
            "\u{0}\u{fffd}",
            "0: +100007F:0BB8 00000000:0000 0A 0:0 00:0 0 0 0 1",
        ] {
            assert_eq!(parse_table(text), [], "{text:?}");
        }
    }

    #[test]
    fn wildcards_and_mapped_addresses_answer_for_loopback() {
        let listener = |local: &str| Socket {
            local: at(local),
            remote: at("0.0.0.0:0"),
            state: SocketState::Listening,
            inode: 1,
        };
        for (local, v4, v6) in [
            ("127.0.0.1:80", true, false),
            ("0.0.0.0:80", true, false),
            ("[::]:80", true, true),
            ("[::1]:80", false, true),
            ("[::ffff:127.0.0.1]:80", true, false),
            ("[::ffff:0.0.0.0]:80", true, false),
            ("192.168.1.5:80", false, false),
            ("127.0.0.2:80", false, false),
            ("127.0.0.1:81", false, false),
        ] {
            assert_eq!(
                listener(local).could_answer(at("127.0.0.1:80")),
                v4,
                "{local}"
            );
            assert_eq!(listener(local).could_answer(at("[::1]:80")), v6, "{local}");
        }
    }

    #[test]
    fn real_listener_and_its_connection_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let sockets = tcp_sockets();
        assert_eq!(
            sockets
                .iter()
                .filter(|socket| socket.could_answer(address))
                .count(),
            1
        );
        let own = stream.local_addr().unwrap();
        assert!(sockets.iter().any(|socket| socket.is_peer_of(own, address)));
    }
}
