//! Runners that only exist in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_routing::InstanceId;
use jiff::Timestamp;

use super::lock;
use crate::change::{ChangeFeed, Changes};
use crate::cluster::{Cluster, ClusterError, ContentStage, Created};
use crate::facts::{Facts, RunnerFacts, RunnerPhase, Termination};
use crate::spec::Spec;

/// A [`Cluster`] whose runners are up as soon as their content is, and end as
/// soon as they are asked to. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct MemoryCluster {
    runners: Arc<Mutex<HashMap<InstanceId, RunnerFacts>>>,
    feed: ChangeFeed,
}

impl MemoryCluster {
    /// Without runners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many runners there are.
    #[must_use]
    pub fn runner_count(&self) -> usize {
        lock(&self.runners).len()
    }

    /// Lets the runner of `instance` end by itself, as `how` says.
    pub fn end(&self, instance: &InstanceId, how: Termination) {
        self.change(instance, |runner| RunnerFacts {
            deleting_since: runner.deleting_since,
            ..RunnerFacts::ended(runner.name.clone(), how).held()
        });
    }

    /// Takes the runner of `instance` away, as if it had never been.
    pub fn lose(&self, instance: &InstanceId) {
        if lock(&self.runners).remove(instance).is_some() {
            self.feed.tell(instance);
        }
    }

    /// Replaces the runner of `instance`, if there is one, and tells if it changed.
    fn change(&self, instance: &InstanceId, next: impl FnOnce(&RunnerFacts) -> RunnerFacts) {
        let changed = lock(&self.runners).get_mut(instance).is_some_and(|runner| {
            let next = next(runner);
            let changed = next != *runner;
            *runner = next;
            changed
        });
        if changed {
            self.feed.tell(instance);
        }
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    async fn facts(&self, instance: &InstanceId) -> Result<Facts, ClusterError> {
        let runner = lock(&self.runners).get(instance).cloned();
        Ok(runner.map_or_else(Facts::no_runner, Facts::one_runner))
    }

    async fn create(&self, spec: &Spec, name: &str) -> Result<Created, ClusterError> {
        {
            let mut runners = lock(&self.runners);
            if runners.contains_key(&spec.instance) {
                return Ok(Created::Existed);
            }
            runners.insert(spec.instance.clone(), RunnerFacts::creating(name).held());
        }
        self.feed.tell(&spec.instance);
        Ok(Created::New)
    }

    async fn content(&self, spec: &Spec, stage: ContentStage) -> Result<(), ClusterError> {
        let ready = stage == ContentStage::Ready;
        self.change(&spec.instance, |runner| match runner.phase {
            RunnerPhase::Pending | RunnerPhase::Running if !runner.is_deleting() => {
                RunnerFacts::running(runner.name.clone(), ready).held()
            }
            _ => runner.clone(),
        });
        Ok(())
    }

    async fn delete(
        &self,
        instance: &InstanceId,
        _name: &str,
        _grace: Option<Duration>,
    ) -> Result<(), ClusterError> {
        self.change(instance, |runner| {
            let since = runner.deleting_since.unwrap_or_else(Timestamp::now);
            let ended = RunnerFacts::ended(runner.name.clone(), Termination::exited(0, ""));
            ended.held().deleting(since)
        });
        Ok(())
    }

    async fn release(&self, instance: &InstanceId, _name: &str) -> Result<(), ClusterError> {
        if lock(&self.runners)
            .get(instance)
            .is_some_and(RunnerFacts::is_deleting)
        {
            self.lose(instance);
        }
        Ok(())
    }

    fn changes(&self) -> Changes {
        self.feed.changes()
    }
}
