//! One status → the store, with patience.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use gitpod_lifecycle::{StatusUpdate, UpdateKind};
use gitpod_routing::InstanceId;
use tokio::time::Instant;

use crate::map::{Origin, plan};
use crate::metrics::{self, Ended};
use crate::plan::{Outcome, Plan};
use crate::store::{InstanceStore, StoreError};

/// Takes statuses of one cluster into a store.
///
/// What a [`Bridge`](crate::Bridge) does with each status; use it alone if
/// statuses come to you in another way.
#[derive(Clone, Debug)]
pub struct Apply {
    store: Arc<dyn InstanceStore>,
    origin: Arc<Origin>,
    patience: Duration,
}

impl Apply {
    /// Takes statuses of `origin` into `store`.
    #[must_use]
    pub fn new(store: Arc<dyn InstanceStore>, origin: Origin) -> Self {
        Self {
            store,
            origin: Arc::new(origin),
            patience: Duration::from_secs(300),
        }
    }

    /// Gives up on a store that is out of reach after `patience`, 5 min by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Takes `status`: decides, writes, and announces, in one transaction.
    ///
    /// While the store is out of reach, tries again after 100 ms, then after
    /// longer and longer waits of at most 5 s. Dropping the future leaves the row
    /// as it was or as it is to be; taking the status again is harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a transient one only after the patience is over.
    pub async fn take(&self, status: &StatusUpdate) -> Result<Outcome, StoreError> {
        let began = Instant::now();
        let kind = kind_name(status.spec.kind);
        metrics::update_started(&self.origin.cluster, kind);
        let taken = self.take_patiently(status, began).await;
        let ended = taken
            .as_ref()
            .map_or(Ended::Error, |outcome| Ended::of(*outcome));
        let seconds = began.elapsed().as_secs_f64();
        metrics::update_completed(&self.origin.cluster, kind, ended, seconds);
        taken
    }

    async fn take_patiently(
        &self,
        status: &StatusUpdate,
        began: Instant,
    ) -> Result<Outcome, StoreError> {
        let mut waits = waits().build();
        loop {
            let error = match self.take_once(status).await {
                Ok(plan) => {
                    metrics::committed(&plan, &self.origin.cluster);
                    return Ok(plan.outcome);
                }
                Err(error) => error,
            };
            let wait = waits.next().unwrap_or(LONGEST_WAIT);
            if !error.is_transient() || began.elapsed() + wait > self.patience {
                return Err(error);
            }
            tracing::debug!(
                instance = status.id,
                error = &error as &dyn std::error::Error,
                ?wait,
                "store out of reach"
            );
            tokio::time::sleep(wait).await;
        }
    }

    async fn take_once(&self, status: &StatusUpdate) -> Result<Plan, StoreError> {
        let Ok(id) = status.id.parse::<InstanceId>() else {
            return Ok(Plan::nothing(Outcome::Invalid));
        };
        let origin = Arc::clone(&self.origin);
        self.store
            .transact(&id, &|row, now| plan(row, status, now, &origin))
            .await
    }
}

fn waits() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .without_max_times()
        .with_jitter()
}

/// As long as a busy database needs to recover from a short lock.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// As long as somebody who watches is willing to wait once it is back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

fn kind_name(kind: UpdateKind) -> &'static str {
    match kind {
        UpdateKind::Regular => "regular",
        UpdateKind::Prebuild => "prebuild",
        UpdateKind::ImageBuild => "imagebuild",
        _ => "unknown",
    }
}
