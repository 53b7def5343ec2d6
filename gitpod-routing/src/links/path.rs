//! Where a link leads to: a path on its own host and nowhere else.

use std::fmt;
use std::str::FromStr;

use http::uri::PathAndQuery;

/// A path, perhaps with a query, that browsers cannot take for another host.
///
/// It begins with exactly one slash, has neither backslashes nor control characters nor a
/// fragment, is ASCII, and has at most 2048 bytes.
///
/// ```
/// use gitpod_routing::LocalPath;
///
/// assert!("/notebooks/a.ipynb?kernel=python".parse::<LocalPath>().is_ok());
/// assert!("//evil.test/".parse::<LocalPath>().is_err());
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct LocalPath(Box<str>);

impl LocalPath {
    /// `/`.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LocalPath {
    fn default() -> Self {
        Self::root()
    }
}

impl FromStr for LocalPath {
    type Err = LocalPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let visible = text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#'));
        let one_slash = text.starts_with('/') && !text.starts_with("//");
        if !visible || !one_slash || text.len() > LONGEST || text.parse::<PathAndQuery>().is_err() {
            return Err(LocalPathError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalPath").field(&self.0).finish()
    }
}

/// The text is no path on one's own host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not a path on this host: it begins with one slash and has no backslash, space or fragment"
)]
#[non_exhaustive]
pub struct LocalPathError;

/// Bytes. Chosen by us: with everything else a link stays below what mail programs break.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_26_what_a_browser_could_take_for_another_host_is_no_path() {
        for text in [
            "",
            "evil.test",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "/\t/evil.test",
            "\t//evil.test",
            "/\r\nset-cookie: a=b",
            "/a b",
            "https://evil.test/",
            "https:/evil.test/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/a#b",
            "/\u{2215}evil.test",
            "?to=//evil.test",
            "@evil.test/",
        ] {
            assert_eq!(text.parse::<LocalPath>(), Err(LocalPathError), "{text:?}");
        }
        for text in ["/", "/a/b?c=d&e=//f", "/a//b", "/..//a", "/%2F%5Cevil.test"] {
            assert_eq!(text.parse::<LocalPath>().unwrap().as_str(), text);
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        assert_eq!(long.parse::<LocalPath>(), Err(LocalPathError));
    }
}
