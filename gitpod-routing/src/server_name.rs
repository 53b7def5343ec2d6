//! The name that a client gave when it began to speak TLS.

use std::sync::Arc;

use crate::host::bare_name;

/// Which server the client of a TLS connection asked for, by the extension `server_name`.
///
/// A listener puts it in the extensions of each request, and clones one value for all requests of a connection.
/// [`ParseHost`](crate::layers::ParseHost) refuses a request for another host with
/// [`Refusal::Misdirected`](crate::Refusal::Misdirected), `421 Misdirected Request`: whoever lets a connection
/// through by its name in TLS, as firewalls and balancers do, has not let another tenant's requests through. Without it, as where
/// there is no TLS or the client gave no name, the host alone counts.
///
/// Two spellings of one name are the same: letter case, one dot at the end and a port do not matter.
///
/// ```
/// # use gitpod_routing::TlsServerName;
/// let name = TlsServerName::new("Pink-Panda-ns35kd21.ws.example.com");
/// assert!(name.is_host("pink-panda-ns35kd21.ws.example.com.:443"));
/// assert!(!name.is_host("blue-whale-ns35kd21.ws.example.com"));
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(name.clone());
/// ```
///
/// **Source:** RFC 6066, section 3, and RFC 9110, section 15.5.20.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TlsServerName(Arc<str>);

impl TlsServerName {
    /// What the client called the server.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = name.strip_suffix('.').unwrap_or(name);
        Self(name.to_ascii_lowercase().into())
    }

    /// In lower case, without a dot at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `host`, a name with or without `:port`, is the same. What is no hostname is not.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        bare_name(host).is_ok_and(|name| name.eq_ignore_ascii_case(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_03_spellings_of_one_name_are_the_same_and_others_are_not() {
        let name = TlsServerName::new("A.ws.Example.com.");
        assert_eq!(name.as_str(), "a.ws.example.com");
        for host in [
            "a.ws.example.com",
            "A.WS.EXAMPLE.COM",
            "a.ws.example.com.",
            "a.ws.example.com:443",
            "a.ws.example.com.:8443",
        ] {
            assert!(name.is_host(host), "{host}");
        }
        for host in [
            "",
            "b.ws.example.com",
            "a.ws.example.com.evil.test",
            "x.a.ws.example.com",
            "a.ws.example.com..",
            "a.ws.example.com:",
            "a.ws.example.com:port",
            "a.ws.example.co",
        ] {
            assert!(!name.is_host(host), "{host}");
        }
    }
}
