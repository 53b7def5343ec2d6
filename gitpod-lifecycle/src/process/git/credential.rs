//! Credentials in the URL of a repository, given to git without others seeing them.

use percent_encoding::percent_decode_str;
use tokio::process::Command;

use crate::content::ContentError;

/// User name and password of an `http` or `https` URL.
///
/// What git is started with, and what it starts its own helpers with, everybody on the
/// machine can read. So the URL loses them, and git asks for them when the host does.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Credential {
    /// `https://example.com:8443`: only this server is given them.
    server: String,
    user: String,
    password: String,
}

impl Credential {
    /// Takes the credentials out of `remote`; what is left is the same place without them.
    pub(super) fn split(remote: &str) -> Result<(String, Option<Self>), ContentError> {
        let Some((scheme, authority, path)) = parts(remote) else {
            return Ok((remote.to_owned(), None));
        };
        let Some((user_info, host)) = authority.rsplit_once('@') else {
            return Ok((remote.to_owned(), None));
        };
        let server = format!("{scheme}://{host}");
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let credential = Self {
            server: server.clone(),
            user: decoded(user)?,
            password: decoded(password)?,
        };
        Ok((server + path, Some(credential)))
    }

    /// Lets git have them through its environment, which only its own user can read.
    ///
    /// No other helper hears of them, so none keeps them.
    ///
    /// **Source:** gitcredentials(7); git-config(1), `GIT_CONFIG_COUNT`.
    pub(super) fn give_to(&self, git: &mut Command) {
        git.env("GITPOD_CLONE_USER", &self.user)
            .env("GITPOD_CLONE_PASSWORD", &self.password)
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "credential.helper")
            .env("GIT_CONFIG_VALUE_0", "")
            .env(
                "GIT_CONFIG_KEY_1",
                format!("credential.{}.helper", self.server),
            )
            .env("GIT_CONFIG_VALUE_1", HELPER);
    }
}

/// Tells git what its environment says. `printf` is the shell's own, so this starts nothing.
const HELPER: &str = r#"!f() { test "$1" != get || printf 'username=%s\npassword=%s\n' "$GITPOD_CLONE_USER" "$GITPOD_CLONE_PASSWORD"; }; f"#;

/// Scheme, authority and the rest of a URL over HTTP.
fn parts(remote: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = remote.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    Some((scheme, authority, path))
}

fn decoded(text: &str) -> Result<String, ContentError> {
    let text = percent_decode_str(text).decode_utf8_lossy().into_owned();
    // A line end would be a second answer to git.
    match text.contains(char::is_control) {
        true => Err(ContentError::Refused(
            "the user name or password in the repository's URL has a control character; remove it"
                .to_owned(),
        )),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_what_is_secret_and_nothing_else() {
        for (remote, left, credential) in [
            (
                "https://me:s3%40cret@example.com:8443/a@b/x.git",
                "https://example.com:8443/a@b/x.git",
                Some(("https://example.com:8443", "me", "s3@cret")),
            ),
            // Some hosts take a token as the user name alone.
            (
                "http://t0ken@example.com",
                "http://example.com",
                Some(("http://example.com", "t0ken", "")),
            ),
            ("https://example.com/x", "https://example.com/x", None),
            // No secret: ssh asks nobody for a password here.
            ("ssh://git@example.com/x", "ssh://git@example.com/x", None),
            ("git@example.com:x", "git@example.com:x", None),
            ("/srv/a@b", "/srv/a@b", None),
        ] {
            let (clean, found) = Credential::split(remote).unwrap();
            assert_eq!(clean, left);
            let found = found.map(|found| (found.server, found.user, found.password));
            let expected = credential.map(|(server, user, password)| {
                (server.to_owned(), user.to_owned(), password.to_owned())
            });
            assert_eq!(found, expected, "{remote}");
        }
    }

    #[test]
    fn a_line_end_cannot_be_smuggled_in() {
        assert!(Credential::split("https://me:a%0ahost=evil@example.com/").is_err());
    }
}
