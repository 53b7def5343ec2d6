//! Content in memory: names of workspaces, and what they are to answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::lock;
use crate::content::{ContentError, ContentStore, Finished, Prepared, Progress};
use crate::spec::{ContentSource, Spec, WorkspaceName};

/// A [`ContentStore`] that only remembers which workspaces have content.
///
/// A git source whose remote is empty does not exist. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct MemoryContent {
    present: Arc<Mutex<HashSet<WorkspaceName>>>,
}

impl MemoryContent {
    /// Without any content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `workspace` has content.
    #[must_use]
    pub fn has(&self, workspace: &WorkspaceName) -> bool {
        lock(&self.present).contains(workspace)
    }
}

#[async_trait]
impl ContentStore for MemoryContent {
    async fn prepare(&self, spec: &Spec, progress: &Progress) -> Result<Prepared, ContentError> {
        if let ContentSource::Git(source) = &spec.content
            && source.remote.is_empty()
        {
            return Err(ContentError::NotFound("no repository was named".to_owned()));
        }
        progress.tell("Remembering", Some(100));
        lock(&self.present).insert(spec.workspace.clone());
        Ok(Prepared::default())
    }

    async fn finish(&self, _spec: &Spec) -> Result<Finished, ContentError> {
        Ok(Finished::default())
    }

    async fn delete(&self, workspace: &WorkspaceName) -> Result<(), ContentError> {
        lock(&self.present).remove(workspace);
        Ok(())
    }
}
