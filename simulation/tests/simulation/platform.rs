//! Where workspaces run: a few pods at fixed addresses, each given to the next instance as
//! soon as the one before is gone.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_lifecycle::{
    Changes, Cluster, ClusterError, ContentStage, Created, Facts, MemoryCluster, Spec, Termination,
};
use gitpod_routing::InstanceId;
use tokio::sync::watch;

pub(crate) const PODS: [&str; 3] = ["pod-0", "pod-1", "pod-2"];

/// Outlives every host, as a machine room does.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    cluster: MemoryCluster,
    pods: Arc<Mutex<Pods>>,
    open: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Pods {
    /// The one that was let go last is given away first.
    free: Vec<&'static str>,
    places: HashMap<InstanceId, &'static str>,
    runs: HashMap<&'static str, watch::Sender<Option<Program>>>,
    /// How often messages to and from each were lost.
    losses: HashMap<String, u64>,
}

/// What a pod runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Program {
    pub(crate) workspace: String,
    pub(crate) instance: String,
}

impl Platform {
    pub(crate) fn new() -> Self {
        let runs = PODS.map(|pod| (pod, watch::Sender::new(None)));
        let pods = Pods {
            free: PODS.to_vec(),
            places: HashMap::new(),
            runs: runs.into(),
            losses: HashMap::new(),
        };
        Self {
            cluster: MemoryCluster::new(),
            pods: Arc::new(Mutex::new(pods)),
            open: Arc::default(),
        }
    }

    fn pods(&self) -> MutexGuard<'_, Pods> {
        self.pods.lock().unwrap()
    }

    /// Which pod `instance` was given.
    pub(crate) fn place_of(&self, instance: &InstanceId) -> Option<&'static str> {
        self.pods().places.get(instance).copied()
    }

    /// What `pod` runs, now and later.
    pub(crate) fn runs(&self, pod: &'static str) -> watch::Receiver<Option<Program>> {
        self.pods().runs[pod].subscribe()
    }

    /// The program of `instance` ends by itself.
    pub(crate) fn end(&self, instance: &InstanceId) {
        self.free(instance);
        self.cluster
            .end(instance, Termination::exited(1, "it broke"));
    }

    /// Nothing is known of the pod of `instance` any more.
    pub(crate) fn lose(&self, instance: &InstanceId) {
        self.free(instance);
        self.cluster.lose(instance);
    }

    /// Messages to and from `host` are lost from now on.
    pub(crate) fn note_loss(&self, host: &str) {
        *self.pods().losses.entry(host.to_owned()).or_default() += 1;
    }

    /// How often they were.
    pub(crate) fn losses(&self, host: &str) -> u64 {
        self.pods().losses.get(host).copied().unwrap_or_default()
    }

    /// How many connections the proxy has to visitors and pods.
    pub(crate) fn open(&self) -> &AtomicUsize {
        &self.open
    }

    /// Instances that have a pod.
    pub(crate) fn placed(&self) -> Vec<InstanceId> {
        let mut placed: Vec<_> = self.pods().places.keys().cloned().collect();
        placed.sort();
        placed
    }

    fn free(&self, instance: &InstanceId) {
        let mut pods = self.pods();
        if let Some(pod) = pods.places.remove(instance) {
            pods.runs[pod].send_replace(None);
            pods.free.push(pod);
        }
    }
}

#[async_trait]
impl Cluster for Platform {
    async fn facts(&self, instance: &InstanceId) -> Result<Facts, ClusterError> {
        self.cluster.facts(instance).await
    }

    async fn create(&self, spec: &Spec, name: &str) -> Result<Created, ClusterError> {
        {
            let mut pods = self.pods();
            if !pods.places.contains_key(&spec.instance) {
                let Some(pod) = pods.free.pop() else {
                    return Err(ClusterError::unavailable("create a pod", "all are taken"));
                };
                pods.places.insert(spec.instance.clone(), pod);
                pods.runs[pod].send_replace(Some(Program {
                    workspace: spec.workspace.to_string(),
                    instance: spec.instance.to_string(),
                }));
            }
        }
        self.cluster.create(spec, name).await
    }

    async fn content(&self, spec: &Spec, stage: ContentStage) -> Result<(), ClusterError> {
        self.cluster.content(spec, stage).await
    }

    async fn delete(
        &self,
        instance: &InstanceId,
        name: &str,
        grace: Option<Duration>,
    ) -> Result<(), ClusterError> {
        self.free(instance);
        self.cluster.delete(instance, name, grace).await
    }

    async fn release(&self, instance: &InstanceId, name: &str) -> Result<(), ClusterError> {
        self.cluster.release(instance, name).await
    }

    fn changes(&self) -> Changes {
        self.cluster.changes()
    }
}
