//! What a user may name as a repository.

use std::path::{Path, PathBuf};

use gitpod_lifecycle::GitSource;
use gitpod_lifecycle::process::GitContent;

use crate::exit::{Failure, Kind};

/// Turns what was typed into a URL or an absolute path that can be cloned, at `branch` if
/// one is named.
///
/// A path is looked at here, where relative paths mean what their writer meant.
pub(crate) fn location(text: &str, branch: Option<&str>) -> Result<String, Failure> {
    let is_no_path = text.is_empty() || text.starts_with('-') || text.contains(char::is_control);
    let location = match is_no_path || is_url(text) {
        true => text.to_owned(),
        false => path(text)?,
    };
    check(&location, branch)?;
    Ok(location)
}

/// Whether git may be given `location` and `branch`. Whatever the way that they came by,
/// this is asked before a workspace is made of them.
pub(crate) fn check(location: &str, branch: Option<&str>) -> Result<(), Failure> {
    let mut source = GitSource::new(location);
    source.branch = branch.map(str::to_owned);
    GitContent::check(&source).map_err(|why| {
        // Without what it may hold of credentials.
        let shown = source.remote_for_people();
        let what = format!("cannot make a workspace of `{}`", shown.escape_debug());
        let is_branch = branch.is_some() && check(location, None).is_ok();
        let fix = if is_branch { BRANCH_FIX } else { FIX };
        Failure::new(Kind::Usage, what).because(&why).fix(fix)
    })
}

fn path(text: &str) -> Result<String, Failure> {
    let path = std::path::absolute(Path::new(text))
        .and_then(|path| path.canonicalize())
        .map_err(|why| no_repository(text).because(&why))?;
    if !holds_repository(&path) {
        return Err(no_repository(text).why(format!("{} is no git repository", path.display())));
    }
    path.into_os_string()
        .into_string()
        .map_err(|_| no_repository(text).why("its path is not UTF-8"))
}

/// `scheme://…`, or the short form of ssh, `user@host:path`.
fn is_url(text: &str) -> bool {
    let scp_form = text
        .split_once(':')
        .is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
    text.contains("://") || scp_form
}

/// Whether git would find a repository at `path` itself: a work tree or a bare one.
fn holds_repository(path: &Path) -> bool {
    let bare = ["HEAD", "objects", "refs"].map(|name| path.join(name));
    path.join(".git").exists() || bare.iter().all(|part: &PathBuf| part.exists())
}

fn no_repository(text: &str) -> Failure {
    Failure::failed(format!("cannot make a workspace of {text:?}")).fix(FIX)
}

const BRANCH_FIX: &str = "name a branch or a tag of it with --branch, such as main";
const FIX: &str = "name a git repository: a URL such as https://example.com/repo.git, or the path of its top directory";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_kept_and_paths_are_made_absolute() {
        for url in [
            "https://example.com/x.git",
            "git@example.com:x.git",
            "file:///srv/x",
        ] {
            assert_eq!(location(url, None).ok().as_deref(), Some(url));
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        let found = location(dir.path().to_str().unwrap(), None).unwrap();
        assert!(Path::new(&found).is_absolute());
    }

    #[test]
    fn missing_repository_says_what_to_do() {
        let text = location("./no/such/place", None).unwrap_err().to_string();
        assert!(text.contains("fix: name a git repository"), "{text}");
    }

    #[test]
    fn wrong_branch_is_not_taken_for_a_wrong_repository() {
        let refused = location("https://example.com/x", Some("-x")).unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("fix: name a branch"), "{told}");
        let refused = location("ftp://example.com/x", Some("-x")).unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("fix: name a git repository"), "{told}");
    }

    #[test]
    fn what_git_would_take_for_something_else_is_a_usage_error() {
        for (text, branch) in [
            ("", None),
            ("file:///\0x", None),
            ("--upload-pack=touch /tmp/x", None),
            ("--upload-pack=touch://x", None),
            ("ssh://-oProxyCommand=true/x", None),
            ("ftp://example.com/x", None),
            ("https://me:s3cret@/x", None),
            ("/a\nb", None),
            ("https://example.com/x", Some("--orphan")),
        ] {
            let refused = location(text, branch).unwrap_err();
            let told = refused.to_string();
            assert_eq!(refused.kind(), Kind::Usage, "{told}");
            assert!(!told.contains(['\0', '\u{1}']), "{told:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
