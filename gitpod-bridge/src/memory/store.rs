//! Instances and outbox in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gitpod_routing::{InstanceId, WorkspaceId};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use super::outbox::Entries;
use crate::clock::Clock;
use crate::effect::Effect;
use crate::map::merge_metrics;
use crate::plan::Plan;
use crate::record::InstanceRow;
use crate::store::{Decide, InstanceStore, StoreError, WorkspaceStore};
use crate::workspace::{NewInstance, NewWorkspace, Workspace, WorkspaceRecord, created_after};

/// Keeps instances and outbox in memory; they end with the process.
///
/// Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    pub(super) tables: Arc<Mutex<Tables>>,
    pub(super) appended: Arc<Notify>,
    pub(super) clock: Clock,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    workspaces: BTreeMap<WorkspaceId, Workspace>,
    instances: BTreeMap<InstanceId, InstanceRow>,
    metrics: BTreeMap<InstanceId, Value>,
    tokens: BTreeSet<(String, String)>,
    once: BTreeSet<String>,
    pub(super) outbox: Entries,
}

impl MemoryStore {
    /// Keeps nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the time from `tell`, not from the system.
    #[must_use]
    pub fn with_clock(mut self, tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(tell);
        self
    }

    /// Keeps `row` as it is, in the place of what was known of it.
    pub fn put_instance(&self, row: InstanceRow) {
        self.tables().instances.insert(row.id.clone(), row);
    }

    /// Keeps an API token of `owner_id` named `name`.
    pub fn put_token(&self, owner_id: impl Into<String>, name: impl Into<String>) {
        self.tables().tokens.insert((owner_id.into(), name.into()));
    }

    /// Names of the API tokens of `owner_id`.
    #[must_use]
    pub fn tokens(&self, owner_id: &str) -> Vec<String> {
        let tables = self.tables();
        let of_owner = tables.tokens.iter().filter(|(owner, _)| owner == owner_id);
        of_owner.map(|(_, name)| name.clone()).collect()
    }

    /// Sizes and durations of instance `id`, if any were reported.
    #[must_use]
    pub fn metrics(&self, id: &InstanceId) -> Option<Value> {
        self.tables().metrics.get(id).cloned()
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        // A panic in `decide` comes before anything is written.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn write(&mut self, id: &InstanceId, plan: &Plan, now: Timestamp) {
        if let (Some(state), Some(row)) = (&plan.change, self.instances.get_mut(id)) {
            row.state.clone_from(state);
            row.row_version += 1;
        }
        for effect in &plan.effects {
            self.follow(id, effect, now);
        }
    }

    fn follow(&mut self, id: &InstanceId, effect: &Effect, now: Timestamp) {
        match effect {
            Effect::StoreMetrics(metrics) => {
                let known = self.metrics.remove(id).unwrap_or_default();
                let merged = merge_metrics(known, metrics.to_document());
                self.metrics.insert(id.clone(), merged);
            }
            Effect::RevokeTokens {
                owner_id,
                instance_id,
            } => {
                let prefix = format!("{instance_id}-");
                let revoked =
                    |owner: &String, name: &String| owner == owner_id && name.starts_with(&prefix);
                self.tokens.retain(|(owner, name)| !revoked(owner, name));
            }
            Effect::Once(event) => {
                if self.once.insert(event.key()) {
                    self.outbox.append(event.to_message(), now);
                }
            }
            // No prebuilds are kept here.
            Effect::StopPrebuild { .. } => {}
            Effect::Announce(announcement) => self.outbox.append(announcement.to_message(), now),
        }
    }

    fn latest(&self, id: &WorkspaceId) -> Option<&InstanceRow> {
        let runs = self
            .instances
            .values()
            .filter(|row| row.workspace_id == *id);
        runs.max_by_key(|row| row.created_at)
    }

    fn live(&self, id: &WorkspaceId) -> Option<&InstanceRow> {
        let runs = self
            .instances
            .values()
            .filter(|row| row.workspace_id == *id);
        { runs }.find(|row| !row.is_stopped())
    }
}

#[async_trait]
impl InstanceStore for MemoryStore {
    async fn transact(&self, id: &InstanceId, decide: Decide<'_>) -> Result<Plan, StoreError> {
        let plan = {
            let mut tables = self.tables();
            let now = self.clock.now();
            let plan = decide(tables.instances.get(id), now);
            tables.write(id, &plan, now);
            plan
        };
        if plan.announces() {
            self.appended.notify_one();
        }
        Ok(plan)
    }

    async fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        Ok(self.tables().instances.get(id).cloned())
    }

    async fn live_instances(&self) -> Result<Vec<InstanceRow>, StoreError> {
        let tables = self.tables();
        let rows = tables.instances.values().filter(|row| !row.is_stopped());
        let mut live: Vec<_> = rows.cloned().collect();
        live.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(live)
    }
}

#[async_trait]
impl WorkspaceStore for MemoryStore {
    async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError> {
        let mut tables = self.tables();
        if tables.workspaces.contains_key(&new.id) {
            return Err(StoreError::AlreadyExists(format!("workspace {}", new.id)));
        }
        let workspace = Workspace {
            id: new.id,
            owner_id: new.owner_id,
            context_url: new.context_url,
            description: new.description,
            created_at: self.clock.now(),
            definition: new.definition,
        };
        let id = workspace.id.clone();
        tables.workspaces.insert(id, workspace.clone());
        Ok(workspace)
    }

    async fn create_instance(&self, new: NewInstance) -> Result<InstanceRow, StoreError> {
        let mut tables = self.tables();
        let Some(workspace) = tables.workspaces.get(&new.workspace_id) else {
            let name = format!("workspace {}", new.workspace_id);
            return Err(StoreError::NotFound(name));
        };
        if let Some(live) = tables.live(&new.workspace_id) {
            return Err(StoreError::StillRuns {
                workspace: new.workspace_id,
                instance: live.id.clone(),
            });
        }
        if tables.instances.contains_key(&new.id) {
            return Err(StoreError::AlreadyExists(format!("instance {}", new.id)));
        }
        let earlier = tables.latest(&new.workspace_id).map(|row| row.created_at);
        let created_at = created_after(earlier, self.clock.now());
        let row = InstanceRow::new(new.id, new.workspace_id, new.region, created_at)
            .with_owner(workspace.owner_id.clone());
        tables.instances.insert(row.id.clone(), row.clone());
        Ok(row)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceRecord>, StoreError> {
        let tables = self.tables();
        let record = |workspace: &Workspace| {
            WorkspaceRecord::new(workspace.clone(), tables.latest(&workspace.id).cloned())
        };
        let mut all: Vec<_> = tables.workspaces.values().map(record).collect();
        all.sort_by_key(|record: &WorkspaceRecord| record.workspace.created_at);
        Ok(all)
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceRecord>, StoreError> {
        let tables = self.tables();
        let found = tables.workspaces.get(id);
        Ok(found
            .map(|workspace| WorkspaceRecord::new(workspace.clone(), tables.latest(id).cloned())))
    }

    async fn redefine_workspace(
        &self,
        id: &WorkspaceId,
        definition: Value,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let known = tables.workspaces.get_mut(id);
        Ok(known
            .map(|workspace| workspace.definition = definition)
            .is_some())
    }

    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let gone: BTreeSet<_> = {
            let runs = tables
                .instances
                .values()
                .filter(|row| row.workspace_id == *id);
            runs.map(|row| row.id.clone()).collect()
        };
        tables
            .instances
            .retain(|instance, _| !gone.contains(instance));
        tables
            .metrics
            .retain(|instance, _| !gone.contains(instance));
        Ok(tables.workspaces.remove(id).is_some())
    }
}
