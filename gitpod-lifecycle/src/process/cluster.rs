//! Local processes as a platform.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_routing::InstanceId;
use tokio::sync::OnceCell;
use tracing::warn;

use super::attach;
use super::network::{Network, NetworkChoice, NoOwnNetwork};
use super::private_file::make_dir;
use super::runner::Runner;
use super::runner_file::{Ended, RunnerFile};
use super::settings::ProcessSettings;
use super::spawn::start_supervisor;
use super::tree::ProcessId;
use super::unknown::end_unknown;
use crate::change::{ChangeFeed, Changes};
use crate::cluster::{Cluster, ClusterError, ContentStage, Created};
use crate::facts::Facts;
use crate::memory::lock;
use crate::spec::Spec;

/// A [`Cluster`] whose runners are supervisor processes on this machine.
///
/// A supervisor is started once the content of its workspace is in place. It and
/// everything it starts belong to the workspace; when it stops, all of that is
/// ended: asked at first, by force after a grace period, also what has detached
/// itself. Supervisors live on when this process ends, and are found again.
///
/// Workspaces are not isolated: they run as the same user, on the same file
/// system, and on the same network unless the settings say otherwise. Cloning shares it. Must be used within a tokio runtime.
#[derive(Clone, Debug)]
pub struct ProcessCluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ProcessSettings,
    runners: Mutex<HashMap<InstanceId, Arc<Runner>>>,
    feed: ChangeFeed,
    /// Whether networks of their own can be had. Tried once.
    own_networks: OnceCell<Result<(), NoOwnNetwork>>,
}

impl ProcessCluster {
    /// Runs workspaces as `settings` say.
    #[must_use]
    pub fn new(settings: ProcessSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            runners: Mutex::default(),
            feed: ChangeFeed::new(),
            own_networks: OnceCell::new(),
        }))
    }

    /// How workspaces are run.
    #[must_use]
    pub fn settings(&self) -> &ProcessSettings {
        &self.0.settings
    }

    /// The supervisor of `instance`, if it runs.
    #[must_use]
    pub fn supervisor(&self, instance: &InstanceId) -> Option<ProcessId> {
        self.runner(instance)?.supervisor()
    }

    /// Which limits `instance` has and what sees to them, for people; `None` if it
    /// has no runner.
    #[must_use]
    pub fn limits(&self, instance: &InstanceId) -> Option<String> {
        Some(self.runner(instance)?.limits())
    }

    /// Which network `instance` is in; `None` if it has not been started.
    #[must_use]
    pub fn network(&self, instance: &InstanceId) -> Option<Network> {
        self.runner(instance)?.network()
    }

    /// Whether workspaces can have networks of their own on this machine. Tried the
    /// first time that anybody asks, which takes some 100 ms, and at most two seconds.
    ///
    /// # Errors
    ///
    /// Why they cannot.
    pub async fn own_networks(&self) -> Result<(), NoOwnNetwork> {
        let probe = || attach::probe(&self.0.settings);
        self.0.own_networks.get_or_init(probe).await.clone()
    }

    /// Ends what runs for instances that are not among `known`, or whose runner cannot be
    /// read: asked at first, by force after at most five seconds. To be called once, before
    /// anything is started, with the instances whose records can be read; else a run whose
    /// record is broken would go on beside the next one.
    ///
    /// # Errors
    ///
    /// If the directory of instances cannot be read.
    pub async fn end_unknown(&self, known: &[InstanceId]) -> std::io::Result<()> {
        let settings = &self.0.settings;
        let grace = settings.grace.min(GRACE_OF_UNKNOWN);
        end_unknown(&settings.layout.instances(), known, grace).await
    }

    /// The network that a workspace gets now.
    async fn next_network(&self) -> Result<Network, NoOwnNetwork> {
        match self.0.settings.network {
            NetworkChoice::Shared => Ok(Network::Shared),
            NetworkChoice::Own => self.own_networks().await.map(|()| Network::Own),
            NetworkChoice::Auto => Ok(match self.own_networks().await {
                Ok(()) => Network::Own,
                Err(_) => Network::Shared,
            }),
        }
    }

    /// The runner of `instance`; one that an earlier process has left is taken over.
    pub(crate) fn runner(&self, instance: &InstanceId) -> Option<Arc<Runner>> {
        let mut runners = lock(&self.0.runners);
        if let Some(runner) = runners.get(instance) {
            return Some(Arc::clone(runner));
        }
        let mut file = RunnerFile::load(&self.0.settings.layout.instance(instance))?;
        file.give_up_interrupted_start();
        let process = file.process.filter(|_| file.ended.is_none());
        let deleting = file.deleting_since.map(|since| left_of(file.grace, since));
        let runner = self.make(instance, file);
        runners.insert(instance.clone(), Arc::clone(&runner));
        drop(runners);
        if let Some(process) = process {
            self.keep(&runner, instance, process);
        }
        if let Some(grace) = deleting {
            runner.delete(grace);
        }
        Some(runner)
    }

    fn make(&self, instance: &InstanceId, file: RunnerFile) -> Arc<Runner> {
        let layout = self.0.settings.layout.clone();
        Arc::new(Runner::new(
            instance.clone(),
            layout,
            self.0.feed.clone(),
            file,
        ))
    }

    fn keep(&self, runner: &Arc<Runner>, instance: &InstanceId, process: ProcessId) {
        let (cluster, instance, runner) = (self.clone(), instance.clone(), Arc::clone(runner));
        tokio::spawn(async move {
            if runner.keep(process).await {
                cluster.forget(&instance);
            }
        });
    }

    fn forget(&self, instance: &InstanceId) {
        lock(&self.0.runners).remove(instance);
        self.0.feed.tell(instance);
    }

    async fn start(&self, spec: &Spec, runner: &Arc<Runner>) {
        if runner.was_started() {
            return;
        }
        runner.sweep_before_start().await;
        let network = self.next_network().await;
        let started = runner.change(|state| {
            let file = &mut state.file;
            if file.process.is_some() || file.ended.is_some() || file.deleting_since.is_some() {
                return None;
            }
            let gate = network
                .map_err(|why| format!("workspace cannot have its own network: {why}"))
                .and_then(|network| {
                    start_supervisor(spec, &self.0.settings, network, file)
                        .map_err(|why| why.to_string())
                })
                .inspect_err(|why| {
                    warn!(instance = %spec.instance, %why, "supervisor cannot be started");
                    file.ended = Some(Ended::badly(127, why));
                })
                .ok()?;
            Some((file.process?, gate))
        });
        if let Some((process, gate)) = started {
            self.keep(runner, &spec.instance, process);
            let link = attach::link_in(&self.0.settings.layout.instance(&spec.instance));
            if let Some(gate) = gate {
                let runner = Arc::clone(runner);
                tokio::spawn(async move {
                    if attach::open(process, gate, link).await {
                        runner.was_let_in();
                    }
                });
            }
        }
    }
}

/// Whoever starts the system waits for it.
const GRACE_OF_UNKNOWN: Duration = Duration::from_secs(5);

/// How much of `grace` is left of a deletion that began at `since`.
fn left_of(grace: Option<Duration>, since: jiff::Timestamp) -> Duration {
    let passed =
        Duration::try_from(jiff::Timestamp::now().duration_since(since)).unwrap_or_default();
    grace.unwrap_or_default().saturating_sub(passed)
}

#[async_trait]
impl Cluster for ProcessCluster {
    async fn facts(&self, instance: &InstanceId) -> Result<Facts, ClusterError> {
        let runner = self.runner(instance);
        Ok(runner.map_or_else(Facts::no_runner, |runner| Facts::one_runner(runner.facts())))
    }

    async fn create(&self, spec: &Spec, name: &str) -> Result<Created, ClusterError> {
        let id = &spec.instance;
        if self.runner(id).is_some() {
            return Ok(Created::Existed);
        }
        let layout = &self.0.settings.layout;
        layout
            .workspace(&spec.workspace)
            .map_err(|why| ClusterError::refused("create a runner", why.to_string()))?;
        let (dir, file) = (layout.instance(id), RunnerFile::new(name));
        let stored = make_dir(&dir).and_then(|()| file.store(&dir));
        stored.map_err(|why| ClusterError::unavailable("create a runner", why))?;
        lock(&self.0.runners).insert(id.clone(), self.make(id, file));
        self.0.feed.tell(id);
        Ok(Created::New)
    }

    async fn content(&self, spec: &Spec, stage: ContentStage) -> Result<(), ClusterError> {
        let Some(runner) = self.runner(&spec.instance) else {
            return Ok(());
        };
        match stage {
            ContentStage::Preparing => runner.change(|state| state.begun = true),
            ContentStage::Ready => self.start(spec, &runner).await,
        }
        Ok(())
    }

    async fn delete(
        &self,
        instance: &InstanceId,
        _name: &str,
        grace: Option<Duration>,
    ) -> Result<(), ClusterError> {
        if let Some(runner) = self.runner(instance) {
            runner.delete(grace.unwrap_or(self.0.settings.grace));
        }
        Ok(())
    }

    async fn release(&self, instance: &InstanceId, _name: &str) -> Result<(), ClusterError> {
        if self.runner(instance).is_some_and(|runner| runner.release()) {
            self.forget(instance);
        }
        Ok(())
    }

    fn changes(&self) -> Changes {
        self.0.feed.changes()
    }
}
