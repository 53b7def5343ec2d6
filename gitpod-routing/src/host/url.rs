//! Public URLs of workspaces.

use http::Uri;

use crate::host::{HostName, HostPattern, HostTarget};

/// Writes URLs that lead to workspaces.
///
/// ```
/// use gitpod_routing::{HostPattern, HostTarget, PublicUrl, Scheme};
///
/// let urls = PublicUrl::new(Scheme::Http, HostPattern::new("ws.localhost")?).with_port(8080);
/// let target = HostTarget::port("pink-panda-ns35kd21".parse()?, 3000);
///
/// assert_eq!(urls.url(&target), "http://3000-pink-panda-ns35kd21.ws.localhost:8080/");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl {
    scheme: Scheme,
    pattern: HostPattern,
    port: Option<u16>,
}

impl PublicUrl {
    /// URLs at the scheme's own port.
    #[must_use]
    pub fn new(scheme: Scheme, pattern: HostPattern) -> Self {
        Self {
            scheme,
            pattern,
            port: None,
        }
    }

    /// URLs at `port`.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = (port != self.scheme.port()).then_some(port);
        self
    }

    #[cfg(feature = "sign-in")]
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    #[cfg(feature = "sign-in")]
    pub(crate) fn domain(&self) -> &str {
        self.pattern.domain()
    }

    /// The URL of `target`, with a slash at its end.
    #[must_use]
    pub fn url(&self, target: &HostTarget) -> String {
        format!("{}/", self.origin(target))
    }

    /// The origin of `target` as browsers write it: without a slash at its end.
    #[must_use]
    pub fn origin(&self, target: &HostTarget) -> String {
        let host = self.pattern.build(&HostName::Workspace(target.clone()));
        let scheme = self.scheme.as_str();
        match self.port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }
    }
}

/// How the public reaches us.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL need not name.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The port that `url` leads to, if it says or its scheme implies one.
#[must_use]
pub fn url_port(url: &str) -> Option<u16> {
    let uri: Uri = url.parse().ok()?;
    let implied = match uri.scheme_str()? {
        "http" => Scheme::Http.port(),
        "https" => Scheme::Https.port(),
        _ => return uri.port_u16(),
    };
    Some(uri.port_u16().unwrap_or(implied))
}
