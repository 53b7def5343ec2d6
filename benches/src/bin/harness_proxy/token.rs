//! From the harness's cookie to the owner token.
//!
//! Owner cookies of an installation are called after it and after the run they are for, and
//! nothing in `gitpod-routing` gives them another name. So this does what an embedder with a
//! cookie of its own does: it shows the token in the header that is meant for it. With
//! `owner` among the names of our cookies it goes no further than that.

use gitpod_routing::OWNER_TOKEN_HEADER;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Name of the cookie.
pub(crate) const NAME: &str = "owner";

/// Shows what the cookie `owner` says, in the place of what the client claims; without one, a
/// token that is none, because the harness wants 403 for both.
pub(crate) fn show(headers: &mut HeaderMap) {
    let token = headers
        .get_all(COOKIE)
        .iter()
        .find_map(|line| owner(line.as_bytes()))
        .and_then(|token| HeaderValue::from_bytes(token).ok());
    let token = token.unwrap_or(HeaderValue::from_static("none"));
    headers.insert(OWNER_TOKEN_HEADER, token);
}

fn owner(line: &[u8]) -> Option<&[u8]> {
    line.split(|byte| *byte == b';').find_map(|cookie| {
        let value = cookie.trim_ascii_start().strip_prefix(NAME.as_bytes())?;
        value.strip_prefix(b"=")
    })
}
