//! Rows for instances that nobody has made one for.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use gitpod_lifecycle::{StatusUpdate, UpdatePhase};
use gitpod_routing::{InstanceId, WorkspaceId};

use crate::source::{SourceError, StatusSource, StatusStream};
use crate::store::{InstanceStore, StoreError, WorkspaceStore};
use crate::workspace::{NewInstance, NewWorkspace};

/// A [`StatusSource`] that makes rows for what it reports.
///
/// For installations without a server of their own: normally, whoever starts an
/// instance makes its workspace and its row before, and reports without a row are
/// dropped. An instance that has stopped, or whose name is none, gets no row. Nor
/// does one whose workspace has another one that has not stopped; it does as soon
/// as the end of that one is known, with its next report.
#[derive(Debug)]
pub struct Registering<St> {
    source: Arc<dyn StatusSource>,
    store: Arc<St>,
    cluster: Arc<str>,
}

impl<St: InstanceStore + WorkspaceStore> Registering<St> {
    /// What `source`, the cluster of that name, reports, with rows in `store`.
    #[must_use]
    pub fn new(
        source: Arc<dyn StatusSource>,
        store: Arc<St>,
        cluster: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            source,
            store,
            cluster: cluster.into(),
        }
    }
}

#[async_trait]
impl<St: InstanceStore + WorkspaceStore> StatusSource for Registering<St> {
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        let (store, cluster) = (Arc::clone(&self.store), Arc::clone(&self.cluster));
        let updates = self.source.subscribe().await?.then(move |update| {
            let (store, cluster) = (Arc::clone(&store), Arc::clone(&cluster));
            async move {
                if let Ok(update) = &update {
                    register(&*store, &cluster, update).await;
                }
                update
            }
        });
        Ok(updates.boxed())
    }

    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        let list = self.source.list().await?;
        for update in &list {
            register(&*self.store, &self.cluster, update).await;
        }
        Ok(list)
    }
}

async fn register(
    store: &(impl InstanceStore + WorkspaceStore),
    cluster: &str,
    update: &StatusUpdate,
) {
    let names = (update.id.parse(), update.metadata.meta_id.parse());
    let (Ok(instance), Ok(workspace)) = names else {
        return; // the bridge says so
    };
    if update.phase == UpdatePhase::Stopped {
        return;
    }
    if let Err(why) = make_row(store, cluster, update, instance, workspace).await {
        tracing::warn!(
            instance = update.id,
            why = &why as &dyn std::error::Error,
            "instance gets no row"
        );
    }
}

async fn make_row(
    store: &(impl InstanceStore + WorkspaceStore),
    cluster: &str,
    update: &StatusUpdate,
    instance: InstanceId,
    workspace: WorkspaceId,
) -> Result<(), StoreError> {
    if store.instance(&instance).await?.is_some() {
        return Ok(());
    }
    let new = NewWorkspace::new(workspace.clone(), "")
        .with_owner(&update.metadata.owner)
        .with_description("found running; nobody had made a row for it");
    unless_there(store.create_workspace(new).await.map(drop))?;
    let new = NewInstance::new(instance, workspace, cluster);
    unless_there(store.create_instance(new).await.map(drop))
}

/// Somebody else may have been faster.
fn unless_there(made: Result<(), StoreError>) -> Result<(), StoreError> {
    match made {
        Err(StoreError::AlreadyExists(_)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySource, MemoryStore};

    fn update(instance: &str, workspace: &str, phase: UpdatePhase) -> StatusUpdate {
        let mut update = StatusUpdate::new(instance, phase);
        update.metadata.meta_id = workspace.to_owned();
        update.metadata.owner = "owner-1".to_owned();
        update
    }

    #[tokio::test]
    async fn what_runs_gets_a_row_and_what_has_stopped_does_not() {
        let source = MemorySource::new();
        source.report(update("one", "pink-panda-ns35kd21", UpdatePhase::Running));
        source.report(update("two", "blue-whale-ns35kd22", UpdatePhase::Stopped));
        let store = Arc::new(MemoryStore::default());
        let registering = Registering::new(Arc::new(source.clone()), Arc::clone(&store), "c1");
        assert_eq!(registering.list().await.unwrap().len(), 2);
        let row = store.instance(&"one".parse().unwrap()).await.unwrap();
        let row = row.unwrap();
        assert_eq!((&*row.region, &*row.owner_id), ("c1", "owner-1"));
        let none = store.instance(&"two".parse().unwrap()).await.unwrap();
        assert_eq!(none, None);

        let mut stream = registering.subscribe().await.unwrap();
        source.report(update("two", "blue-whale-ns35kd22", UpdatePhase::Pending));
        // A second run beside the first one waits for the end of that.
        source.report(update("three", "pink-panda-ns35kd21", UpdatePhase::Pending));
        for expected in [true, false] {
            let id = stream.next().await.unwrap().unwrap().id.parse().unwrap();
            let found = store.instance(&id).await.unwrap().is_some();
            assert_eq!(found, expected, "{id}");
        }
    }
}
