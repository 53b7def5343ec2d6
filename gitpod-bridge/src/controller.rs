//! Looks for instances whose manager says nothing of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::InstanceId;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::BoxError;
use crate::phase::StopOrigin;
use crate::source::StatusSource;
use crate::store::InstanceStore;
use crate::sweep::{Missing, SweepTimeouts, stop_instance, timed_out};

/// Marks instances of one cluster as stopped that its manager has lost, or that wait
/// too long for something that no manager reports.
///
/// Each tick reads the rows, then asks for the list: one that runs should be in it.
/// Who is missing must be so in two ticks in a row. A newer report of life undoes what
/// was inferred.
///
/// **Source:** bridge specification, sections 9 and 18.9. Without leases: any number may
/// run, as marking a row that has stopped does nothing.
#[derive(Debug)]
pub struct Controller {
    source: Arc<dyn StatusSource>,
    store: Arc<dyn InstanceStore>,
    cluster: String,
    settings: ControllerSettings,
}

/// Limits of a [`Controller`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ControllerSettings {
    /// How long to wait between two ticks: 60 s.
    pub interval: Duration,
    /// How long the manager may be out of reach before that is a warning: 150 s.
    pub max_disconnect: Duration,
    /// How long instances may be silent.
    pub timeouts: SweepTimeouts,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            max_disconnect: Duration::from_secs(150),
            timeouts: SweepTimeouts::default(),
        }
    }
}

impl Controller {
    /// Compares what `source` lists with the rows of `cluster` in `store`.
    #[must_use]
    pub fn new(
        source: Arc<dyn StatusSource>,
        store: Arc<dyn InstanceStore>,
        cluster: impl Into<String>,
    ) -> Self {
        Self {
            source,
            store,
            cluster: cluster.into(),
            settings: ControllerSettings::default(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn with_settings(mut self, settings: ControllerSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Ticks until `stop` is cancelled; the first tick is one interval after the start.
    pub async fn run(self, stop: CancellationToken) {
        let mut missing = Missing::new();
        let mut lost_since = None;
        let wait = || tokio::time::sleep(self.settings.interval);
        while stop.run_until_cancelled(wait()).await.is_some() {
            let ticked = self.tick(&mut missing, &mut lost_since);
            match stop.run_until_cancelled(ticked).await {
                Some(Err(why)) => tracing::warn!(
                    cluster = self.cluster,
                    why = &*why as &dyn std::error::Error,
                    "instances are not looked after"
                ),
                Some(Ok(())) => {}
                None => return,
            }
        }
    }

    async fn tick(
        &self,
        missing: &mut Missing,
        lost_since: &mut Option<Instant>,
    ) -> Result<(), BoxError> {
        let mut rows = self.store.live_instances().await?;
        rows.retain(|row| row.region == self.cluster);
        let timeouts = &self.settings.timeouts;
        let mut to_stop: Vec<(InstanceId, &str)> = Vec::new();
        match self.source.list().await {
            Ok(list) => {
                *lost_since = None;
                let reported: BTreeSet<_> =
                    list.iter().filter_map(|it| it.id.parse().ok()).collect();
                let lost = missing.tick(&rows, &reported, Timestamp::now(), timeouts);
                to_stop.extend(lost.iter().map(|row| (row.id.clone(), LOST)));
            }
            Err(why) => {
                let since = *lost_since.get_or_insert_with(Instant::now);
                if since.elapsed() > self.settings.max_disconnect {
                    tracing::warn!(
                        cluster = self.cluster,
                        why = &why as &dyn std::error::Error,
                        "manager is out of reach"
                    );
                }
            }
        }
        let now = Timestamp::now();
        let late = rows.iter().filter(|row| timed_out(row, now, timeouts));
        to_stop.extend(late.map(|row| (row.id.clone(), LATE)));
        for (id, why) in to_stop {
            tracing::info!(instance = %id, why, "instance is marked as stopped");
            stop_instance(&*self.store, &id, StopOrigin::Inferred, why).await?;
        }
        Ok(())
    }
}

const LOST: &str = "its manager does not know it any more";
const LATE: &str = "it took too long to begin";

#[cfg(test)]
mod tests {
    use gitpod_lifecycle::{StatusUpdate, UpdatePhase};

    use super::*;
    use crate::{Bridge, MemorySource, MemoryStore, Origin, Registering};

    #[tokio::test(start_paused = true)]
    async fn instance_that_its_manager_has_lost_is_marked_after_two_ticks() {
        let source = MemorySource::new();
        let mut update = StatusUpdate::new("one", UpdatePhase::Running);
        update.metadata.meta_id = "pink-panda-ns35kd21".to_owned();
        update.status_version = 1;
        source.report(update);
        let store = Arc::new(MemoryStore::default());
        let registering = Registering::new(Arc::new(source.clone()), Arc::clone(&store), "c1");
        let stop = CancellationToken::new();
        let bridge = Bridge::new(Arc::new(registering), store.clone(), Origin::new("c1"));
        tokio::spawn(bridge.run(stop.clone()));
        let controller = Controller::new(Arc::new(source.clone()), store.clone(), "c1");
        tokio::spawn(controller.run(stop.clone()));

        let live = async || store.live_instances().await.unwrap().len();
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(live().await, 1, "its manager lists it");
        source.forget("one");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(live().await, 1, "missing once");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(live().await, 0, "missing twice");
        stop.cancel();
    }
}
