//! Which text of a request is its host.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::host::{HostError, HostName, HostPattern, HostTarget};
use crate::server_name::TlsServerName;

/// Where a request's host is read from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostSource {
    trusted_header: Option<HeaderName>,
    conflict: Conflict,
}

/// What a target's authority and a `Host` header that differ mean.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Conflict {
    #[default]
    Refused,
    TargetWins,
}

impl HostSource {
    /// From the `Host` header, or from `:authority`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// First from `header`, which only a proxy of ours can set.
    ///
    /// Its first value is taken if it is there and not empty; there is no second try with
    /// `Host`. The header never reaches a workspace. Use this only where every client
    /// comes through that proxy: whoever sets the header chooses the workspace.
    #[must_use]
    pub fn with_trusted_header(mut self, header: HeaderName) -> Self {
        self.trusted_header = (header != HOST).then_some(header);
        self
    }

    /// Lets the target of a request in absolute form win over a `Host` header that differs,
    /// as RFC 9112 and the reference do, instead of refusing it.
    #[must_use]
    pub fn with_target_first(mut self) -> Self {
        self.conflict = Conflict::TargetWins;
        self
    }

    /// The header that is trusted, if any.
    #[must_use]
    pub fn trusted_header(&self) -> Option<&HeaderName> {
        self.trusted_header.as_ref()
    }

    /// The host of a request with these parts.
    ///
    /// # Errors
    ///
    /// [`HostError::Several`] if there are two `Host` headers, or one that differs from
    /// the target's authority; [`HostError::Missing`] if there is none.
    pub fn host_of<'p>(&self, parts: &'p Parts) -> Result<&'p str, HostError> {
        let own = own_host(parts, self.conflict)?;
        let trusted = self.trusted_header.as_ref();
        match trusted.and_then(|name| first_value(&parts.headers, name)) {
            Some(host) => str::from_utf8(host).map_err(|_| HostError::Malformed),
            None => own.ok_or(HostError::Missing),
        }
    }
}

impl HostSource {
    /// Whether the client asked for another host in TLS than in the request itself. A header that is trusted says
    /// what another connection was for, the one that a proxy of ours has taken.
    pub(crate) fn is_misdirected(&self, parts: &Parts) -> bool {
        let Some(name) = parts.extensions.get::<TlsServerName>() else {
            return false;
        };
        let trusted = self.trusted_header.as_ref();
        let is_passed_on =
            trusted.is_some_and(|field| first_value(&parts.headers, field).is_some());
        !is_passed_on && !self.host_of(parts).is_ok_and(|host| name.is_host(host))
    }
}

/// The host as HTTP itself names it, if all places agree.
fn own_host(parts: &Parts, conflict: Conflict) -> Result<Option<&str>, HostError> {
    let mut values = parts.headers.get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(HostError::Several);
    }
    let header = header
        .map(|value| str::from_utf8(value.as_bytes()).map_err(|_| HostError::Malformed))
        .transpose()?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    match (authority, header) {
        (Some(target), Some(host))
            if conflict == Conflict::Refused && !target.eq_ignore_ascii_case(host) =>
        {
            Err(HostError::Several)
        }
        (target, host) => Ok(target.or(host)),
    }
}

fn first_value<'p>(headers: &'p HeaderMap, name: &HeaderName) -> Option<&'p [u8]> {
    let value = headers.get(name)?.as_bytes();
    (!value.is_empty()).then_some(value)
}

impl HostPattern {
    /// What a request is for, and the path to send on if it is not the request's own.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse) and [`HostSource::host_of`].
    pub fn target_of<'p>(
        &self,
        source: &HostSource,
        parts: &'p Parts,
    ) -> Result<(HostTarget, Option<&'p str>), HostError> {
        match self.parse(source.host_of(parts)?)? {
            HostName::Workspace(target) => Ok((target, None)),
            HostName::Foreign(_) => {
                let (target, rest) = self.parse_foreign_path(parts.uri.path())?;
                Ok((target, Some(rest)))
            }
        }
    }
}
