use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The path that a client means: an empty one is the directory where it starts.
pub(super) fn meant(path: &str) -> &Path {
    Path::new(if path.is_empty() { "." } else { path })
}

/// The absolute path of a file without links in it. The file itself need not exist, its directory must.
pub(super) fn real(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.file_name()) {
        (Err(why), Some(name)) if why.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            Ok(parent.unwrap_or(Path::new(".")).canonicalize()?.join(name))
        }
        (found, _) => found,
    }
}

/// What `~` and `~/…` stand for; other paths as they are.
pub(super) fn expanded(path: &str, home: Option<OsString>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.into(),
        (Some(rest), Some(home)) if rest.starts_with('/') => {
            Path::new(&home).join(rest.trim_start_matches('/'))
        }
        _ => meant(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_still_to_be_made_has_a_real_path() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(".", dir.join("link")).unwrap();
        assert_eq!(real(&dir.join("link/new")).unwrap(), dir.join("new"));
        assert_eq!(real(&dir.join("link")).unwrap(), dir);
        assert!(real(&dir.join("new/newer")).is_err());
        assert_eq!(real(Path::new("/..")).unwrap(), Path::new("/"));
    }

    #[test]
    fn tilde_is_the_home_directory() {
        let home = || Some("/home/x".into());
        for (path, expected) in [
            ("~", "/home/x"),
            ("~/a", "/home/x/a"),
            ("~//etc", "/home/x/etc"),
            ("~root", "~root"),
            ("a/~", "a/~"),
            ("", "."),
        ] {
            assert_eq!(expanded(path, home()), Path::new(expected));
        }
        assert_eq!(expanded("~/a", None), Path::new("~/a"));
    }
}
