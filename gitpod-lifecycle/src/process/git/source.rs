//! Which repositories may be cloned.

use std::path::{Component, Path, PathBuf};

use super::credential::Credential;
use crate::content::ContentError;
use crate::spec::GitSource;

/// A source that git can be given without it doing anything else than cloning.
pub(super) struct Checked {
    /// A URL or an absolute path, as it was given.
    pub(super) given: String,
    /// The same without credentials: what git is started with.
    pub(super) remote: String,
    pub(super) credential: Option<Credential>,
    /// For people.
    pub(super) shown: String,
    pub(super) revision: Revision,
    pub(super) depth: Option<u32>,
    /// Below the content; empty for the content itself.
    pub(super) location: PathBuf,
}

/// What to check out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Revision {
    Default,
    /// A branch or a tag.
    Named(String),
    /// The hash of a commit.
    Commit(String),
}

impl Checked {
    pub(super) fn of(source: &GitSource) -> Result<Self, ContentError> {
        check_remote(&source.remote)?;
        let revision = match source.branch.as_deref() {
            None | Some("") => Revision::Default,
            Some(hash) if is_commit(hash) => Revision::Commit(hash.to_owned()),
            Some(name) if name.starts_with('-') || name.contains(char::is_control) => {
                return Err(refused(format!("{name:?} is not the name of a branch")));
            }
            Some(name) => Revision::Named(name.to_owned()),
        };
        let (remote, credential) = Credential::split(&source.remote)?;
        Ok(Self {
            given: source.remote.clone(),
            remote,
            credential,
            shown: source.remote_for_people(),
            revision,
            depth: source.depth.map(Into::into),
            location: location(&source.checkout_location)?,
        })
    }
}

/// Schemes that only ever fetch. `ext::` and the like run programs.
const SCHEMES: [&str; 5] = ["https", "http", "git", "ssh", "file"];

fn check_remote(remote: &str) -> Result<(), ContentError> {
    if remote.is_empty() {
        return Err(refused("no repository was named"));
    }
    if remote.starts_with('-') || remote.contains(char::is_control) {
        return Err(refused(format!("{remote:?} is not a repository")));
    }
    if remote.starts_with('/') {
        return Ok(());
    }
    let host = match remote.split_once("://") {
        Some((scheme, rest)) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            let host = rest.split('/').next().unwrap_or_default();
            let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
            if name.is_empty() && !scheme.eq_ignore_ascii_case("file") {
                return Err(refused("it names no host"));
            }
            host
        }
        Some((scheme, _)) => {
            return Err(refused(format!(
                "repositories are not fetched by `{scheme}`; use one of {}, or an absolute path",
                SCHEMES.join(", ")
            )));
        }
        None => scp_host(remote)?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match host.starts_with('-') {
        true => Err(refused(format!("`{host}` is not a host"))),
        false => Ok(()),
    }
}

/// The host of `user@host:path`, as ssh is often written.
fn scp_host(remote: &str) -> Result<&str, ContentError> {
    let host = remote
        .split_once(':')
        .filter(|(host, path)| !host.contains('/') && !path.starts_with(':'));
    match host {
        Some((host, _)) if host.contains('@') => Ok(host),
        _ => Err(refused(format!(
            "{remote:?} is neither a URL nor an absolute path; write https://…, ssh://…, user@host:path or /…"
        ))),
    }
}

fn refused(why: impl Into<String>) -> ContentError {
    ContentError::Refused(why.into())
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn location(text: &str) -> Result<PathBuf, ContentError> {
    let path = Path::new(text);
    let below = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match below {
        true => Ok(path
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect()),
        false => Err(refused(format!("{text:?} leads out of the content"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fetches_and_nothing_else_is_a_source() {
        for (remote, allowed) in [
            ("https://example.com/x.git", true),
            ("http://localhost:3000/x", true),
            ("HTTPS://example.com/x", true),
            ("git://example.com/x", true),
            ("ssh://git@example.com:22/x", true),
            ("git@example.com:a/b.git", true),
            ("file:///srv/x", true),
            ("/srv/x", true),
            ("https:///x", false),
            ("https://me:s3cret@/x", false),
            ("file:///srv/x\0y", false),
            ("--upload-pack=touch /tmp/x://y", false),
            ("", false),
            ("relative/path", false),
            ("-oProxyCommand=true", false),
            ("--upload-pack=touch /tmp/x", false),
            ("ext::sh -c true", false),
            ("fd::3", false),
            ("foo::bar@baz", false),
            ("ssh://-oProxyCommand=true/x", false),
            ("ssh://git@-oProxyCommand=true/x", false),
            ("git@-oProxyCommand=true:x", false),
            ("https://example.com/x\nfoo", false),
            ("ftp://example.com/x", false),
        ] {
            assert_eq!(
                Checked::of(&GitSource::new(remote)).is_ok(),
                allowed,
                "{remote:?}"
            );
        }
    }

    #[test]
    fn revisions_and_locations_cannot_be_options_or_lead_out() {
        let with = |branch: &str, location: &str| {
            let mut source = GitSource::new("/srv/x");
            source.branch = Some(branch.to_owned());
            source.checkout_location = location.to_owned();
            Checked::of(&source)
        };
        let hash = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            with(hash, "").unwrap().revision,
            Revision::Commit(hash.to_owned())
        );
        assert_eq!(with("main", "./a/b/").unwrap().location, Path::new("a/b"));
        for (branch, location) in [
            ("--orphan", ""),
            ("a\n", ""),
            ("main", "../x"),
            ("main", "/x"),
            ("main", "a/../.."),
        ] {
            assert!(with(branch, location).is_err(), "{branch:?} {location:?}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let checked = Checked::of(&GitSource::new("https://me:s3cret@example.com/x")).unwrap();
        assert_eq!(checked.shown, "https://example.com/x");
    }
}
