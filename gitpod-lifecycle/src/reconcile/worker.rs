//! One worker per instance: goes round until nothing is left of it.

use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::InstanceId;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::content_step::ContentOutcome;
use super::manager::Shared;
use super::pass::{Next, PassError};
use crate::condition::ConditionType;
use crate::content::{ContentError, Progress};
use crate::records::Record;
use crate::spec::Spec;
use crate::status::update::{StatusUpdate, UpdatePhase};
use crate::subscribe::ContentProgress;

/// Looks after one instance.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) instance: InstanceId,
    wake: Arc<Notify>,
    /// What was published last.
    pub(super) published: Option<StatusUpdate>,
    /// What is being done about its content: at most one thing at a time.
    pub(super) content: JoinSet<ContentOutcome>,
    /// What came of it, until that is recorded.
    pub(super) outcome: Option<ContentOutcome>,
    /// Whether the platform was told that the content is in place.
    pub(super) announced: bool,
    backoff: Backoff,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, instance: InstanceId, wake: Arc<Notify>) -> Self {
        Self {
            shared,
            instance,
            wake,
            published: None,
            content: JoinSet::new(),
            outcome: None,
            announced: false,
            backoff: Backoff::default(),
        }
    }

    /// Goes round until the instance or the manager is gone.
    pub(super) async fn run(mut self, mut alive: watch::Receiver<()>) {
        loop {
            let wait = match self.pass().await {
                Ok(Next::Gone) => break,
                Ok(next) => self.wait_for(next),
                Err(why) => self.wait_after(&why),
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(wait) => {}
                Some(done) = self.content.join_next() => self.content_done(done),
                _ = alive.changed() => break,
            }
        }
        self.shared.worker_ended(&self.instance);
        let again = self.shared.adapters.records.get(&self.instance).await;
        if alive.has_changed().is_ok() && matches!(again, Ok(Some(_))) {
            self.shared.wake(&self.instance); // started anew in the very moment
        }
    }

    /// How long to wait; for ever if absent.
    fn wait_for(&mut self, next: Next) -> Option<Duration> {
        match next {
            Next::Soon => return Some(self.backoff.next()),
            Next::Now | Next::WhenWoken | Next::After(_) | Next::Gone => self.backoff.reset(),
        }
        match next {
            Next::After(wait) => Some(wait),
            Next::WhenWoken | Next::Gone => None,
            Next::Now | Next::Soon => Some(Duration::ZERO),
        }
    }

    fn wait_after(&mut self, why: &PassError) -> Option<Duration> {
        let wait = self.backoff.next();
        warn!(instance = %self.instance, why = %why.whole_text(), ?wait, "pass failed, is repeated");
        Some(wait)
    }

    fn content_done(&mut self, done: Result<ContentOutcome, tokio::task::JoinError>) {
        self.outcome = match done {
            Ok(outcome) => Some(outcome),
            Err(why) if why.is_cancelled() => None,
            Err(why) => Some(ContentOutcome::Prepared(Err(ContentError::because(
                "content store failed unexpectedly",
                why,
            )))),
        };
    }

    /// Starts to put the content in place, unless that is being done.
    pub(super) fn prepare_content(&mut self, spec: &Spec) {
        if !self.content.is_empty() || self.outcome.is_some() {
            return;
        }
        debug!(instance = %self.instance, "content is put in place");
        let (shared, spec) = (Arc::clone(&self.shared), spec.clone());
        let progress = self.progress_of(&spec);
        self.content.spawn(async move {
            ContentOutcome::Prepared(shared.adapters.content.prepare(&spec, &progress).await)
        });
    }

    /// Starts to put the content away, unless that is being done.
    pub(super) fn finish_content(&mut self, spec: &Spec) {
        if !self.content.is_empty() || self.outcome.is_some() {
            return;
        }
        let (shared, spec) = (Arc::clone(&self.shared), spec.clone());
        self.content.spawn(async move {
            ContentOutcome::Finished(shared.adapters.content.finish(&spec).await)
        });
    }

    fn progress_of(&self, spec: &Spec) -> Progress {
        let shared = Arc::downgrade(&self.shared);
        let (workspace, instance) = (spec.workspace.clone(), spec.instance.clone());
        Progress::to(move |step| {
            if let Some(shared) = shared.upgrade() {
                let told = ContentProgress::new(workspace.clone(), instance.clone(), step);
                shared.publisher.progress(told);
            }
        })
    }

    /// Publishes the state of `record` if that says anything new. A version alone
    /// is nothing new. While another runner is sought for a refused one, nobody
    /// is told anything.
    pub(super) fn publish(&mut self, record: &Record) {
        if record
            .status
            .conditions
            .is_true(&ConditionType::PodRejected)
        {
            return;
        }
        let mut update = self.shared.update_of(record);
        let version = update.status_version;
        if let Some(last) = &self.published {
            update.status_version = last.status_version;
            if update == *last {
                return;
            }
            update.status_version = version;
        }
        self.shared.publisher.update(update.clone());
        self.published = Some(update);
    }

    /// Somebody else removed the record: subscribers must not wait for ever.
    pub(super) fn publish_end(&mut self) {
        let unfinished = self
            .published
            .take()
            .filter(|last| last.phase != UpdatePhase::Stopped);
        if let Some(mut last) = unfinished {
            last.phase = UpdatePhase::Stopped;
            last.status_version = last.status_version.saturating_add(1);
            self.shared.publisher.update(last);
        }
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
