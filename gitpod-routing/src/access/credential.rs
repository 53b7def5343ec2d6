//! The token a request shows.

use http::header::COOKIE;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use crate::access::{CookieNames, Denied, cookie};
use crate::id::InstanceId;
use crate::secret::OwnerToken;

/// Header that carries the owner token. It never reaches a workspace.
pub const OWNER_TOKEN_HEADER: HeaderName = HeaderName::from_static("x-gitpod-owner-token");

/// What a request shows to prove that it comes from the owner.
///
/// Prints only where the token stood.
pub struct Presented<'r> {
    source: Source,
    token: &'r [u8],
    /// Further owner cookies. Whoever can set a cookie for a wider domain can add one, and
    /// the owner's own must still count.
    others: Vec<&'r [u8]>,
}

/// Where a token stood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// Nowhere.
    Nothing,
    /// In the header [`OWNER_TOKEN_HEADER`], which no web page can set for another site.
    Header,
    /// In a cookie, which browsers send by themselves.
    Cookie,
}

impl<'r> Presented<'r> {
    /// Looks for a token: the first value of the header unless it is empty, else all owner
    /// cookies of `instance` that are not empty.
    #[must_use]
    pub fn find(headers: &'r HeaderMap, names: &CookieNames, instance: &InstanceId) -> Self {
        let header = headers
            .get(OWNER_TOKEN_HEADER)
            .map(http::HeaderValue::as_bytes)
            .filter(|token| !token.is_empty());
        if let Some(token) = header {
            return Self::of(Source::Header, token);
        }
        let mut owner_cookies = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|line| cookie::cookies(line.as_bytes()))
            .filter(|(name, _)| names.is_owner_cookie(name, instance))
            .map(|(name, piece)| cookie_value(name, piece))
            .filter(|token| !token.is_empty());
        match owner_cookies.next() {
            Some(token) => Self {
                others: owner_cookies.collect(),
                ..Self::of(Source::Cookie, token)
            },
            None => Self::of(Source::Nothing, b""),
        }
    }

    fn of(source: Source, token: &'r [u8]) -> Self {
        let others = Vec::new();
        Self {
            source,
            token,
            others,
        }
    }

    /// Where the token stood.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether this is `expected`, as it stands or form-decoded. Of several cookies any one
    /// will do; what is wrong is said of the first.
    pub(crate) fn matches(&self, expected: &OwnerToken) -> Result<(), Denied> {
        if self.source == Source::Nothing {
            return Err(Denied::NoToken);
        }
        let first = compare(self.token, expected);
        let mut others = self.others.iter();
        if first.is_err() && others.any(|token| compare(token, expected).is_ok()) {
            return Ok(());
        }
        first
    }
}

fn compare(token: &[u8], expected: &OwnerToken) -> Result<(), Denied> {
    if expected.matches(token) {
        return Ok(());
    }
    let decoded = form_decode(token).ok_or(Denied::UndecodableToken)?;
    if expected.matches(&decoded) {
        return Ok(());
    }
    Err(Denied::WrongToken)
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Presented").field(&self.source).finish()
    }
}

/// What follows the name and `=`, without one pair of quotes.
pub(crate) fn cookie_value<'p>(name: &[u8], piece: &'p [u8]) -> &'p [u8] {
    let after_name = piece
        .get(name.len()..)
        .unwrap_or_default()
        .trim_ascii_start();
    let value = after_name
        .strip_prefix(b"=")
        .unwrap_or_default()
        .trim_ascii();
    value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// Decodes `+` and `%XX`; `None` if a `%` is followed by something else.
fn form_decode(token: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = token;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = rest.get(at + 3..)?;
    }
    let blanks: Zeroizing<Vec<u8>> = Zeroizing::new(token.iter().map(unplus).collect());
    Some(Zeroizing::new(percent_decode(&blanks).collect()))
}

fn unplus(b: &u8) -> u8 {
    if *b == b'+' { b' ' } else { *b }
}
