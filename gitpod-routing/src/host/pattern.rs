//! Hostnames under one domain: reading and writing them.

use std::borrow::Cow;

use crate::host::label::{self, Rules};
use crate::host::{HostError, HostName, HostTarget, foreign};

/// Reads and writes the hostnames of one installation.
///
/// ```text
/// <id>.DOMAIN                 the editor            debug-<id>.DOMAIN
/// <port>-<id>.DOMAIN          a port                <port>-debug-<id>.DOMAIN
/// [v--]<letters 0-9a-v>.DOMAIN   a foreign host; the path names the workspace
/// ```
///
/// The whole name must match: `DOMAIN` is text, not a pattern, and nothing may follow
/// it but one dot and `:port`. Letter case is ignored. Ports are 1 to 65535 without
/// leading zeros, labels have at most 63 bytes and names at most 253.
///
/// ```
/// use gitpod_routing::{Endpoint, HostName, HostPattern};
///
/// let pattern = HostPattern::new("ws.example.com")?;
/// let name = pattern.parse("8080-pink-panda-ns35kd21.ws.example.com")?;
/// let HostName::Workspace(target) = &name else { unreachable!() };
///
/// assert_eq!(target.endpoint, Endpoint::Port(8080));
/// assert_eq!(pattern.build(&name), "8080-pink-panda-ns35kd21.ws.example.com");
/// # Ok::<(), gitpod_routing::HostError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPattern {
    /// `.` followed by the domain, lowercase.
    suffix: Box<str>,
    siblings: Option<SiblingPattern>,
    rules: Rules,
}

impl HostPattern {
    /// Matches names directly under `domain`, given without a leading dot.
    ///
    /// # Errors
    ///
    /// [`HostError::BadDomain`] if `domain` is no hostname: empty, too long, or with
    /// letters other than `a`–`z`, digits, `-`, `_` and single dots between them.
    pub fn new(domain: &str) -> Result<Self, HostError> {
        let labels_fit = domain.split('.').all(|label| is_label(label, is_name_byte));
        if !labels_fit || domain.len() > MAX_HOST - 2 {
            return Err(HostError::BadDomain);
        }
        Ok(Self {
            suffix: format!(".{}", domain.to_ascii_lowercase()).into(),
            siblings: None,
            rules: Rules::Strict,
        })
    }

    /// Also reads editor hosts of sibling clusters, so that a visitor who comes to the
    /// wrong one is told that the workspace is not here instead of that the host is unknown.
    #[must_use]
    pub fn with_siblings(self, siblings: SiblingPattern) -> Self {
        Self {
            siblings: Some(siblings),
            ..self
        }
    }

    /// Reads names as the reference does: a name in upper case matches nothing, and port 0
    /// and leading zeros are read. Such a port is still never reached. Off by default.
    #[must_use]
    pub fn with_reference_rules(self) -> Self {
        Self {
            rules: Rules::Reference,
            ..self
        }
    }

    /// The domain, without a leading dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.suffix.trim_start_matches('.')
    }

    /// Reads what `host`, a name with or without `:port`, asks for.
    ///
    /// # Errors
    ///
    /// [`HostError::OtherDomain`] for a name outside the domain, [`HostError::BadLabel`]
    /// for a first label that names nothing, [`HostError::Malformed`] for what is no
    /// hostname, [`HostError::Missing`] for nothing at all.
    pub fn parse(&self, host: &str) -> Result<HostName, HostError> {
        let name = bare_name(host)?;
        let name = &*self.fold(name);
        if let Some(label) = name.strip_suffix(&*self.suffix) {
            return self.read_label(label);
        }
        let siblings = self.siblings.as_ref().ok_or(HostError::OtherDomain)?;
        let (label, domain) = name.split_once('.').ok_or(HostError::OtherDomain)?;
        if !siblings.matches(domain) {
            return Err(HostError::OtherDomain);
        }
        match self.read_label(label)? {
            HostName::Workspace(target) if target.endpoint == super::Endpoint::Ide => {
                Ok(HostName::Workspace(target))
            }
            _ => Err(HostError::OtherDomain),
        }
    }

    /// Reads the workspace named by the first segment of `path` on a foreign host, and
    /// the path without that segment.
    ///
    /// # Errors
    ///
    /// [`HostError::BadForeignPath`] if it names none.
    pub fn parse_foreign_path<'p>(
        &self,
        path: &'p str,
    ) -> Result<(HostTarget, &'p str), HostError> {
        foreign::parse_path(path, self.rules)
    }

    /// Writes the hostname that [`parse`](Self::parse) reads as `name`.
    #[must_use]
    pub fn build(&self, name: &HostName) -> String {
        let mut host = String::with_capacity(MAX_LABEL + self.suffix.len());
        match name {
            // Writing to a `String` cannot fail.
            HostName::Workspace(target) => label::write(target, &mut host).unwrap_or_default(),
            HostName::Foreign(label) => host.push_str(label),
        }
        host.push_str(&self.suffix);
        host
    }

    fn read_label(&self, label: &str) -> Result<HostName, HostError> {
        if label.len() > MAX_LABEL {
            return Err(HostError::Malformed);
        }
        if foreign::is_label(label) {
            return Ok(HostName::Foreign(label.into()));
        }
        label::parse(label, self.rules)
            .map(HostName::Workspace)
            .ok_or(HostError::BadLabel)
    }

    /// `name` in lower case; or as it is, where case counts.
    fn fold<'n>(&self, name: &'n str) -> Cow<'n, str> {
        // Without an early end, which lets the compiler look at many letters at once.
        let upper = name
            .bytes()
            .fold(false, |upper, b| upper | b.is_ascii_uppercase());
        match self.rules {
            Rules::Strict if upper => name.to_ascii_lowercase().into(),
            _ => name.into(), // as nearly all are
        }
    }
}

/// Domains of the other clusters of one installation: a domain with one `*` in it.
///
/// The `*` stands for any letters of one label, also none: `ws*.example.com` matches
/// `ws.example.com` and `ws-eu01.example.com`, and not `ws-a.b.example.com`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiblingPattern {
    before: Box<str>,
    after: Box<str>,
}

impl SiblingPattern {
    /// Reads `pattern`.
    ///
    /// # Errors
    ///
    /// [`HostError::BadDomain`] if it is not a hostname with exactly one `*`.
    pub fn new(pattern: &str) -> Result<Self, HostError> {
        let lower = pattern.to_ascii_lowercase();
        let (before, after) = lower.split_once('*').ok_or(HostError::BadDomain)?;
        let name = format!("{before}x{after}");
        HostPattern::new(&name)?;
        Ok(Self {
            before: before.into(),
            after: after.into(),
        })
    }

    fn matches(&self, domain: &str) -> bool {
        domain
            .strip_prefix(&*self.before)
            .and_then(|rest| rest.strip_suffix(&*self.after))
            .is_some_and(|star| star.bytes().all(|b| b != b'.' && is_name_byte(b)))
    }
}

/// `host` without `:port` and without one trailing dot.
pub(crate) fn bare_name(host: &str) -> Result<&str, HostError> {
    let colon = memchr::memchr(b':', host.as_bytes());
    let name = match colon.and_then(|at| host.split_at_checked(at)) {
        Some((name, port)) => {
            let digits = port.strip_prefix(':').unwrap_or_default();
            label::port(digits, Rules::Strict).ok_or(HostError::Malformed)?;
            name
        }
        None => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.len() {
        0 => Err(HostError::Missing),
        1..=MAX_HOST => Ok(name),
        _ => Err(HostError::Malformed),
    }
}

fn is_label(label: &str, allowed: fn(u8) -> bool) -> bool {
    (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(allowed)
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

/// Longest hostname. **Source:** RFC 1035, section 2.3.4, without the root's dot.
const MAX_HOST: usize = 253;

/// Longest label of one. **Source:** as above.
const MAX_LABEL: usize = 63;
