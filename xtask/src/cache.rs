//! What is installed for the tests is kept outside the clone, under a name with its version.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A folder that survives a fresh clone: `$XDG_CACHE_HOME/gitpod-rs`, or `~/.cache/gitpod-rs`.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|caches| caches.join("gitpod-rs"))
        .context("no place for what the tests need: set HOME or XDG_CACHE_HOME to a folder that you can write to")
}

/// The folder `name` of the cache, filled by `fill` unless an earlier run filled it completely.
///
/// Two runs at the same time wait for each other.
pub(crate) fn filled(
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    filled_in(&folder()?, name, fill)
}

fn filled_in(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| {
        format!(
            "cannot create {}; check who owns it, or set XDG_CACHE_HOME",
            cache.display()
        )
    })?;
    let _held = lock(&cache.join(format!("{name}.lock")))?;
    let folder = cache.join(name);
    let complete = folder.join(".complete");
    if complete.exists() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove the unfinished {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    fill(&folder)?;
    File::create(complete)?;
    Ok(folder)
}

/// Held until the file is dropped.
fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn folder_is_filled_once() {
        let cache = tempfile::tempdir().unwrap();
        let mut times = 0;
        for _ in 0..2 {
            let folder = filled_in(cache.path(), "tool-1", |folder| {
                times += 1;
                Ok(fs::write(folder.join("file"), "x")?)
            });
            assert!(folder.unwrap().join("file").exists());
        }
        assert_eq!(times, 1);
    }

    #[test]
    fn unfinished_folder_is_filled_anew() {
        let cache = tempfile::tempdir().unwrap();
        let broken = filled_in(cache.path(), "tool-1", |folder| {
            fs::write(folder.join("half"), "x")?;
            bail!("offline")
        });
        assert!(broken.is_err());
        let folder = filled_in(cache.path(), "tool-1", |_| Ok(())).unwrap();
        assert!(!folder.join("half").exists());
    }
}
