//! Another platform for workspaces: here a runner is a task in this process.
//!
//! `cargo run -p gitpod-lifecycle --features testing --example custom_runner`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_lifecycle::{
    ChangeFeed, Changes, Cluster, ClusterError, Created, Facts, RunnerFacts, Spec, conformance,
};
use gitpod_routing::InstanceId as Id;
use jiff::Timestamp;

type Runners = HashMap<Id, RunnerFacts>;

#[derive(Clone, Debug, Default)]
struct Tasks(Arc<Mutex<Runners>>, ChangeFeed);

impl Tasks {
    /// Changes what is known of the runner of `id`, and tells whoever watches.
    fn change<T>(&self, id: &Id, how: impl FnOnce(&mut Runners) -> T) -> T {
        let result = how(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.1.tell(id);
        result
    }
}

#[async_trait]
impl Cluster for Tasks {
    async fn facts(&self, id: &Id) -> Result<Facts, ClusterError> {
        let runners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let runner = runners.get(id).cloned();
        Ok(runner.map_or_else(Facts::no_runner, Facts::one_runner))
    }

    async fn create(&self, spec: &Spec, name: &str) -> Result<Created, ClusterError> {
        let (tasks, id, name) = (self.clone(), spec.instance.clone(), name.to_owned());
        let new = RunnerFacts::creating(&*name).held();
        if self.change(&id, |all| all.contains_key(&id)) {
            return Ok(Created::Existed);
        }
        self.change(&id, |all| all.insert(id.clone(), new));
        tokio::spawn(async move {
            // A virtual machine would boot here.
            let runs = RunnerFacts::running(name, true).held();
            tasks.change(&id, |all| match all.get_mut(&id) {
                Some(known) if !known.is_deleting() => *known = runs,
                _ => {} // it was ended meanwhile
            });
        });
        Ok(Created::New)
    }

    async fn delete(&self, id: &Id, name: &str, _: Option<Duration>) -> Result<(), ClusterError> {
        let ended = RunnerFacts::creating(name).deleting(Timestamp::now());
        self.change(id, |all| all.get_mut(id).map(|known| *known = ended.held()));
        Ok(())
    }

    async fn release(&self, id: &Id, _: &str) -> Result<(), ClusterError> {
        self.change(id, |all| drop(all.remove(id)));
        Ok(())
    }

    fn changes(&self) -> Changes {
        self.1.changes()
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), conformance::Violation> {
    conformance::cluster(Tasks::default()).await?;
    println!("tasks keep every promise of a platform for workspaces");
    Ok(())
}
