//! Cookies that links hand over. All of them are kept from workspaces.

use std::time::SystemTime;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::access::{CookieNames, cookie_value, cookies};
use crate::host::{PublicUrl, Scheme};
use crate::id::WorkspaceId;
use crate::info::WorkspaceInfo;
use crate::share::{Share, ShareScope};

/// Writes `Set-Cookie` lines.
pub(crate) struct Handover<'l> {
    pub(crate) names: &'l CookieNames,
    pub(crate) urls: &'l PublicUrl,
}

impl Handover<'_> {
    /// The owner token of `info`, for its editor and all of its ports.
    ///
    /// **Source:** name, attributes and lifetime are the reference's; the domain is that of
    /// workspaces instead of the installation's.
    pub(crate) fn owner(&self, info: &WorkspaceInfo) -> Option<HeaderValue> {
        let name = self.names.owner_cookie(&info.instance);
        let value = utf8_percent_encode(info.owner_token.expose(), COOKIE_UNSAFE);
        self.line(&format!("{name}={value}"), OWNER_SECONDS, Reach::Workspaces)
    }

    /// `token`, which makes a visitor of `share`.
    pub(crate) fn visit(&self, share: &Share, token: &str, now: SystemTime) -> Option<HeaderValue> {
        let name = self.names.share_cookie(&share.workspace);
        let left = share.expires_at.duration_since(now).unwrap_or_default();
        let reach = match share.scope {
            ShareScope::Workspace => Reach::Workspaces,
            ShareScope::Port(_) => Reach::Host,
        };
        self.line(&format!("{name}={token}"), left.as_secs(), reach)
    }

    fn line(&self, pair: &str, seconds: u64, reach: Reach) -> Option<HeaderValue> {
        let is_secure = self.urls.scheme() == Scheme::Https;
        let domain = self.urls.domain();
        // Browsers take no cookie for a domain of one label.
        let (prefix, domain) = match reach {
            Reach::Workspaces if domain.contains('.') => ("", format!("; Domain={domain}")),
            _ if is_secure => ("__Host-", String::new()),
            _ => ("", String::new()),
        };
        let secure = if is_secure { "; Secure" } else { "" };
        let line = format!(
            "{prefix}{pair}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}{domain}"
        );
        let mut line = HeaderValue::try_from(line).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}

/// Which hosts a browser sends a cookie to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// To the one that set it.
    Host,
    /// To all of the domain, because ports are hosts of their own.
    Workspaces,
}

/// The tokens in share cookies of `workspace`.
pub(crate) fn share_cookies<'h>(
    headers: &'h HeaderMap,
    names: &CookieNames,
    workspace: &WorkspaceId,
) -> Vec<&'h [u8]> {
    let has_any = |line: &&HeaderValue| memchr::memmem::find(line.as_bytes(), b"_share_").is_some();
    if !headers.get_all(COOKIE).iter().any(|line| has_any(&line)) {
        return Vec::new();
    }
    values(headers, &names.share_cookie(workspace))
}

fn values<'h>(headers: &'h HeaderMap, wanted: &str) -> Vec<&'h [u8]> {
    let all = headers.get_all(COOKIE).iter();
    all.flat_map(|line| cookies(line.as_bytes()))
        .filter(|(name, _)| name.strip_prefix(b"__Host-").unwrap_or(name) == wanted.as_bytes())
        .map(|(name, piece)| cookie_value(name, piece))
        .take(MOST)
        .collect()
}

/// What a sibling sets for the whole domain comes along; more than this is not looked at.
const MOST: usize = 16;

/// Everything that RFC 6265 keeps out of a cookie's value, and what form-decoding changes.
const COOKIE_UNSAFE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const OWNER_SECONDS: u64 = 24 * 3600;
