//! What a user may name as a repository.

use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// Turns what was typed into a URL or an absolute path.
///
/// A path is checked here, where relative paths mean what their writer meant.
pub(crate) fn location(text: &str) -> Result<String, Failure> {
    if is_url(text) {
        return Ok(text.to_owned());
    }
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
    Failure::failed(format!("cannot make a workspace of {text:?}"))
        .fix("name a git repository: a URL such as https://example.com/repo.git, or the path of its top directory")
}

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
            assert_eq!(location(url).ok().as_deref(), Some(url));
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        let found = location(dir.path().to_str().unwrap()).unwrap();
        assert!(Path::new(&found).is_absolute());
    }

    #[test]
    fn missing_repository_says_what_to_do() {
        let text = location("./no/such/place").unwrap_err().to_string();
        assert!(text.contains("fix: name a git repository"), "{text}");
    }
}
