//! Files of local workspaces: clones of git repositories.

mod clone;
mod credential;
mod explain;
mod limit;
mod progress;
mod source;
mod unfinished;

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::fs;
use tokio::task::spawn_blocking;

use self::clone::clone;
pub use self::limit::CloneLimits;
use self::limit::within;
use self::source::Checked;
use self::unfinished::Unfinished;
use super::kill::sweep;
use super::layout::Layout;
use super::private_file::{is_full, make_dir};
use crate::content::{ContentError, ContentStore, Finished, Prepared, Progress};
use crate::spec::{ContentSource, GitSource, Spec, WorkspaceName};
use crate::status::{InitializerMetric, InitializerMetrics};

/// A [`ContentStore`] that clones git repositories into directories, once for
/// each workspace, and keeps them there until they are deleted.
///
/// A clone becomes visible as a whole or not at all: it is made beside the
/// content and then renamed. A git that has outlived the process which started it is
/// ended before another one starts, and when the content is deleted. From a local repository only what is committed is
/// taken, and the clone does not depend on it later. Nobody is ever asked for a
/// password; what git may use without asking (keys of an agent, a credential
/// helper) works. Credentials in a URL are seen by the host they are for, and by no other
/// user of this machine; they stay in the clone's configuration, as git leaves them there.
/// Submodules are not cloned.
///
/// Needs `git` on the path.
#[derive(Clone, Debug)]
pub struct GitContent {
    layout: Layout,
    limits: CloneLimits,
}

impl GitContent {
    /// Content below `layout`.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            limits: CloneLimits::default(),
        }
    }

    /// The same, within `limits`.
    #[must_use]
    pub fn with_limits(self, limits: CloneLimits) -> Self {
        Self { limits, ..self }
    }

    /// Whether `source` could be content at all, as far as it tells by itself: nothing is
    /// asked of its host. [`prepare`](ContentStore::prepare) refuses the same.
    ///
    /// # Errors
    ///
    /// [`ContentError::Refused`] if not.
    pub fn check(source: &GitSource) -> Result<(), ContentError> {
        Checked::of(source).map(drop)
    }

    /// Removes what clones have left that ended with the process which had them made, and
    /// ends a git that goes on alone. To be called once, before anything is started.
    ///
    /// # Errors
    ///
    /// If that cannot be removed, or the directory of workspaces cannot be read.
    pub async fn remove_unfinished(&self) -> io::Result<()> {
        for (workspace, left) in unfinished::find(&self.layout.workspaces())? {
            sweep(&workspace, None).await; // or it would go on, and write
            remove_all(&left).await?;
        }
        Ok(())
    }

    async fn fill(
        &self,
        spec: &Spec,
        fresh: &Path,
        mark: &Path,
        progress: &Progress,
    ) -> Result<Option<InitializerMetrics>, ContentError> {
        match &spec.content {
            ContentSource::Empty => Ok(None),
            ContentSource::Git(source) => {
                let clone = clone_into(fresh, source, mark, progress);
                within(self.limits, fresh, clone).await.map(Some)
            },
            ContentSource::Initializer(_) => Err(ContentError::Refused(
                "content of this kind cannot be put in place by local workspaces; name a git repository".to_owned(),
            )),
        }
    }
}

async fn clone_into(
    fresh: &Path,
    source: &GitSource,
    mark: &Path,
    progress: &Progress,
) -> Result<InitializerMetrics, ContentError> {
    let checked = Checked::of(source)?;
    let started = tokio::time::Instant::now();
    let target = fresh.join(&checked.location);
    if let Some(parent) = target.parent() {
        make_dir(parent).map_err(|why| failed(parent, &why))?;
    }
    clone(&checked, &target, mark, progress).await?;
    let fresh = fresh.to_owned();
    let size = spawn_blocking(move || size_of(&fresh))
        .await
        .unwrap_or_default();
    Ok(InitializerMetrics {
        git: Some(InitializerMetric::new(started.elapsed(), size)),
        ..InitializerMetrics::default()
    })
}

#[async_trait]
impl ContentStore for GitContent {
    async fn prepare(&self, spec: &Spec, progress: &Progress) -> Result<Prepared, ContentError> {
        let content = self.layout.content(&spec.workspace)?;
        if content.is_dir() {
            return Ok(Prepared::default());
        }
        let (workspace, fresh) = (
            self.layout.workspace(&spec.workspace)?,
            content.with_extension("new"),
        );
        sweep(&workspace, None).await; // a git that outlived who started it
        remove_all(&fresh)
            .await
            .map_err(|why| failed(&fresh, &why))?; // half of an earlier one
        make_dir(&fresh).map_err(|why| failed(&fresh, &why))?;
        // Removed wherever this ends early; it is given up when a stop is asked for.
        let unfinished = Unfinished::at(fresh.clone());
        let metrics = self.fill(spec, &fresh, &workspace, progress).await?;
        fs::rename(&fresh, &content)
            .await
            .map_err(|why| failed(&content, &why))?;
        unfinished.keep();
        Ok(Prepared {
            metrics,
            ..Prepared::default()
        })
    }

    async fn finish(&self, spec: &Spec) -> Result<Finished, ContentError> {
        if let Ok(workspace) = self.layout.workspace(&spec.workspace) {
            sweep(&workspace, None).await; // where `up` was killed, and nobody prepared again
        }
        Ok(Finished::default()) // it stays where it is
    }

    async fn delete(&self, workspace: &WorkspaceName) -> Result<(), ContentError> {
        let dir = self.layout.workspace(workspace)?;
        sweep(&dir, None).await; // or it would go on, and write
        remove_all(&dir).await.map_err(|why| failed(&dir, &why))
    }
}

fn failed(path: &Path, why: &io::Error) -> ContentError {
    match is_full(why) {
        true => ContentError::Full(path.display().to_string()),
        false => ContentError::failed(format!(
            "content cannot be kept in {}: {why}",
            path.display()
        )),
    }
}

/// Removes a directory and what is in it. That it is gone already is fine.
async fn remove_all(dir: &Path) -> io::Result<()> {
    let dir = dir.to_owned();
    spawn_blocking(move || match std::fs::remove_dir_all(&dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(&dir); // some programs make their caches read-only
            std::fs::remove_dir_all(&dir)
        }
        done => done,
    })
    .await
    .map_err(io::Error::other)?
}

fn make_writable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let _ = std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700));
        open.extend(
            entries(&dir)
                .filter(|(_, kind)| kind.is_dir())
                .map(|(path, _)| path),
        );
    }
}

fn size_of(dir: &Path) -> u64 {
    let (mut open, mut size) = (vec![dir.to_owned()], 0);
    while let Some(dir) = open.pop() {
        for (path, kind) in entries(&dir) {
            match kind.is_dir() {
                true => open.push(path),
                false => {
                    size += path
                        .symlink_metadata()
                        .map(|file| file.len())
                        .unwrap_or_default()
                }
            }
        }
    }
    size
}

/// What is in `dir`; links are not followed.
fn entries(dir: &Path) -> impl Iterator<Item = (PathBuf, std::fs::FileType)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.file_type().ok()?)))
}
