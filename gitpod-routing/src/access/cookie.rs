//! Cookies that must not reach a workspace.

use http::HeaderValue;

use crate::id::{InstanceId, WorkspaceId};

/// Names of the cookies that an installation keeps for itself.
///
/// Browsers send them to every workspace, because their domain covers all of them.
/// They are `_<D>_…`, also behind `__Host-` and `__Secure-`, where `<D>` is the host of
/// the installation with every blank, dash and dot written as `_`, one for one or runs
/// as one.
///
/// ```
/// use gitpod_routing::CookieNames;
///
/// let names = CookieNames::new("example.com");
/// assert!(names.is_ours(b"__Host-_example_com_jwt2_"));
/// assert!(!names.is_ours(b"_example_community"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieNames {
    /// What an owner cookie starts with; the instance id and `_owner_` follow.
    owner: Box<str>,
    /// Another name for owner cookies, whatever the run.
    own_name: Option<Box<str>>,
    session: Box<str>,
    ours: Vec<Box<[u8]>>,
    separator: &'static [u8],
}

impl CookieNames {
    /// Names of the installation at `host`; a port behind it is not part of any name.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let host = host.split_once(':').map_or(host, |(name, _port)| name);
        let exact: String = host.chars().map(underscored).collect();
        let collapsed = collapse(host);
        let mut ours = Vec::new();
        for name in [&exact, &collapsed] {
            for prefix in ["", "__Host-", "__Secure-"] {
                ours.push(format!("{prefix}_{name}_").into_bytes().into());
            }
        }
        ours.dedup();
        Self {
            owner: format!("_{exact}_ws_").into(),
            own_name: None,
            session: format!("__Host-_{collapsed}_jwt2_").into(),
            ours,
            separator: b"; ",
        }
    }

    /// Also keeps back cookies whose name starts with `prefix`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.ours.push(prefix.as_bytes().into());
        self
    }

    /// Calls owner cookies `name` instead, for workspaces and runs alike.
    ///
    /// For installations that have such a cookie already. A browser that keeps it for one
    /// host of a workspace only shows one token to each; a cookie for a domain that several
    /// workspaces share would show the token of one to all.
    #[must_use]
    pub fn with_owner_cookie(mut self, name: &str) -> Self {
        self.own_name = Some(name.into());
        self
    }

    /// Joins cookies with `;` alone, as the reference does, instead of `; ` as RFC 6265 says.
    #[must_use]
    pub fn with_reference_spelling(mut self) -> Self {
        self.separator = b";";
        self
    }

    /// Name of the cookie that holds the owner token of `instance`.
    #[must_use]
    pub fn owner_cookie(&self, instance: &InstanceId) -> String {
        match &self.own_name {
            Some(name) => name.to_string(),
            None => format!("{}{instance}{OWNER_END}", self.owner),
        }
    }

    /// Name of the cookie that a visitor of a share of `workspace` has; behind `__Host-`
    /// where it can be.
    #[must_use]
    pub fn share_cookie(&self, workspace: &WorkspaceId) -> String {
        format!("{}{workspace}{SHARE_END}", self.owner)
    }

    /// Name of the cookie that holds a session with the installation.
    #[must_use]
    pub fn session_cookie(&self) -> &str {
        &self.session
    }

    /// Whether a cookie called `name` belongs to the installation.
    #[must_use]
    pub fn is_ours(&self, name: &[u8]) -> bool {
        self.ours.iter().any(|prefix| name.starts_with(prefix)) || self.is_own_name(name)
    }

    fn is_own_name(&self, name: &[u8]) -> bool {
        let own = self.own_name.as_deref();
        own.is_some_and(|own| own.as_bytes() == name)
    }

    /// Whether `name` is that of the owner cookie of `instance`.
    pub(crate) fn is_owner_cookie(&self, name: &[u8], instance: &InstanceId) -> bool {
        if self.own_name.is_some() {
            return self.is_own_name(name);
        }
        name.strip_prefix(self.owner.as_bytes())
            .and_then(|rest| rest.strip_suffix(OWNER_END.as_bytes()))
            .is_some_and(|middle| middle == instance.as_str().as_bytes())
    }

    /// The cookies of `lines` that a workspace may see, as one line; `None` if there are none.
    ///
    /// What remains is kept byte for byte, with blanks around a cookie removed.
    #[must_use]
    pub fn filter<'l>(
        &self,
        lines: impl IntoIterator<Item = &'l HeaderValue>,
    ) -> Option<HeaderValue> {
        let mut kept: Vec<u8> = Vec::new();
        for (name, piece) in lines.into_iter().flat_map(|line| cookies(line.as_bytes())) {
            if self.is_ours(name) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(self.separator);
            }
            kept.extend_from_slice(piece);
        }
        if kept.is_empty() {
            return None;
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)).ok()
    }

    /// Whether the workspace at `host` may set the cookie of a `Set-Cookie` line: neither one
    /// of ours, nor one that browsers would send to another host as well.
    ///
    /// Browsers send a cookie without a name as its value alone, so a value that looks like
    /// a cookie is judged as none that may be set.
    #[cfg(feature = "proxy")]
    pub(crate) fn may_set(&self, line: &HeaderValue, host: &[u8]) -> bool {
        let mut pieces = line.as_bytes().split(|b| *b == b';');
        let (name, value) = halves(pieces.next().unwrap_or_default());
        let is_disguised = name.is_empty() && (value.contains(&b'=') || self.is_ours(value));
        !is_disguised && !self.is_ours(name) && pieces.all(|piece| stays_at(host, piece))
    }
}

/// Whether an attribute of a cookie does not widen it beyond `host`. An empty `Domain` means
/// the host alone.
#[cfg(feature = "proxy")]
fn stays_at(host: &[u8], attribute: &[u8]) -> bool {
    let (name, domain) = halves(attribute);
    !name.eq_ignore_ascii_case(b"domain")
        || domain.is_empty()
        || domain
            .strip_prefix(b".")
            .unwrap_or(domain)
            .eq_ignore_ascii_case(host)
}

/// What is before and behind the first `=`, without blanks around.
#[cfg(feature = "proxy")]
fn halves(piece: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'=', piece).unwrap_or(piece.len());
    let (name, rest) = piece.split_at_checked(end).unwrap_or_default();
    let value = rest.strip_prefix(b"=").unwrap_or_default();
    (name.trim_ascii(), value.trim_ascii())
}

/// Name, and the whole text, of each cookie in a `Cookie` line.
pub(crate) fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ends = memchr::memchr_iter(b';', line).chain([line.len()]);
    let mut start = 0;
    ends.map(move |end| {
        let piece = line.get(start..end).unwrap_or_default();
        start = end + 1;
        piece.trim_ascii()
    })
    .filter(|piece| !piece.is_empty())
    .map(|piece| {
        let end = memchr::memchr(b'=', piece).unwrap_or(piece.len());
        let name = piece.get(..end).unwrap_or_default();
        (name.trim_ascii_end(), piece)
    })
}

fn underscored(c: char) -> char {
    match c {
        ' ' | '-' | '.' => '_',
        other => other,
    }
}

/// `host` with every run of what is no letter or digit written as one `_`.
fn collapse(host: &str) -> String {
    let mut name = String::with_capacity(host.len());
    for c in host.chars() {
        match c.is_ascii_alphanumeric() {
            true => name.push(c),
            false if name.ends_with('_') => {}
            false => name.push('_'),
        }
    }
    name
}

const OWNER_END: &str = "_owner_";
const SHARE_END: &str = "_share_";
