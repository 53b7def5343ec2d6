//! Where to listen.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket, UnixListener, lookup_host};

/// Where a server listens, or is found.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Address {
    /// A host, by number or name, and a port. An empty host is all interfaces.
    Tcp {
        /// Without brackets.
        host: String,
        /// 0 takes a free one.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// The text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAddress {
    /// There is no port.
    #[error("has no port from 0 to 65535 after its last colon")]
    Port,
    /// A host that is none.
    #[error("is no host")]
    Host,
    /// Not from the root.
    #[error("path of a unix socket does not begin with a slash")]
    Path,
}

impl FromStr for Address {
    type Err = NoAddress;

    /// `host:port`, `:port`, `[::1]:port`, or `unix:/path`. What gRPC writes in front of a name (`dns:///`)
    /// is left out.
    fn from_str(text: &str) -> Result<Self, NoAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(NoAddress::Path),
            };
        }
        let text = text.strip_prefix("dns:///").unwrap_or(text);
        let (host, port) = text.rsplit_once(':').ok_or(NoAddress::Port)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port
            .parse()
            .ok()
            .filter(|_| digits)
            .ok_or(NoAddress::Port)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(NoAddress::Host)?,
            None if host.contains([':', '/', ' ']) => return Err(NoAddress::Host),
            None => host,
        };
        let host = host.to_owned();
        Ok(Self::Tcp { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A port or socket that is ours.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over a unix socket, whose file goes when this is dropped, if it is ours.
    Unix(UnixListener, Option<SocketFile>),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Its file is somebody else's to remove.
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener, None)
    }
}

impl Listener {
    /// Takes `address` for `what`, and says so in the log.
    ///
    /// # Errors
    ///
    /// If it is taken or not ours to take, with what to do.
    pub async fn bind(what: &str, address: &Address) -> anyhow::Result<Self> {
        let bound = match address {
            Address::Tcp { host, port } => bind_tcp(host, *port).await.map(Self::Tcp),
            Address::Unix(path) => bind_unix(path),
        };
        let listener = bound.with_context(|| {
            format!("cannot listen on {address} for {what}; stop the program that holds it, or configure another address")
        })?;
        tracing::info!(what, address = listener.name(), "listening");
        Ok(listener)
    }

    /// Where it listens really.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|why| why.to_string(), |address| address.to_string()),
            Self::Unix(_, Some(file)) => format!("unix:{}", file.0.display()),
            Self::Unix(_, None) => "unix".to_owned(),
        }
    }
}

/// All interfaces are those of IPv6, which take IPv4 as well, where the machine has it.
async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    if host.is_empty() {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return match listen(everywhere) {
            Err(why) if why.kind() != io::ErrorKind::AddrInUse => {
                listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            }
            bound => bound,
        };
    }
    let mut why = io::Error::new(io::ErrorKind::InvalidInput, "host has no address");
    for address in lookup_host((host, port)).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(other) => why = other,
        }
    }
    Err(why)
}

/// Listens at `address`, with a queue as long as the system allows.
///
/// # Errors
///
/// If it is taken, or not ours to take. Must be called within a runtime.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As the usual way to listen does: else a restart would have to wait for old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// How many connections wait to be accepted, at most; the system may allow fewer (`net.core.somaxconn`). With the usual
/// 128, a burst of connections fills the queue in a millisecond, and whoever comes then is not heard until she asks again: a second
/// later, two, four.
const QUEUE: u32 = 65_535;

/// One that nobody listens on any more is replaced. Its mode is 0600 before it has its name.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    if path.symlink_metadata().is_ok() && !is_stale(path) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let mut first = path.as_os_str().to_owned();
    first.push(format!(".{}", std::process::id()));
    let listener = UnixListener::bind(&first)?;
    std::fs::set_permissions(&first, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&first, path))
        .inspect_err(|_| drop(std::fs::remove_file(&first)))?;
    Ok(Listener::Unix(listener, Some(SocketFile(path.to_owned()))))
}

fn is_stale(path: &Path) -> bool {
    let file = std::fs::symlink_metadata(path);
    file.is_ok_and(|file| file.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err()
}

/// The file of a unix socket; removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_reference_writes_them() {
        let tcp = |host: &str, port| {
            let host = host.to_owned();
            Ok(Address::Tcp { host, port })
        };
        for (text, expected) in [
            (":8080", tcp("", 8080)),
            ("localhost:0", tcp("localhost", 0)),
            ("[::1]:80", tcp("::1", 80)),
            ("dns:///ws-manager:8080", tcp("ws-manager", 8080)),
            ("unix:/run/x.sock", Ok(Address::Unix("/run/x.sock".into()))),
            (
                "unix:///run/x.sock",
                Ok(Address::Unix("/run/x.sock".into())),
            ),
            ("unix:x.sock", Err(NoAddress::Path)),
            ("8080", Err(NoAddress::Port)),
            ("host:", Err(NoAddress::Port)),
            ("host:+80", Err(NoAddress::Port)),
            ("host:70000", Err(NoAddress::Port)),
            ("::1:80", Err(NoAddress::Host)),
            ("http://host:80", Err(NoAddress::Host)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
