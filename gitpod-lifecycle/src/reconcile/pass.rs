//! One pass: look, decide, record, publish, act.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::content_step::{ContentOutcome, ContentStep, content_step};
use super::modify::whole_seconds;
use super::worker::Worker;
use crate::cluster::{ClusterError, ContentStage, Created};
use crate::condition::{Condition, ConditionType};
use crate::event::Event;
use crate::facts::Facts;
use crate::observe::observe;
use crate::plan::{Action, LookAgain, plan};
use crate::records::{Record, RecordError};
use crate::status::Status;
use crate::timeout::timeout_but;
use crate::token::Token;

/// When to go round again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// At once: what was decided on has changed.
    Now,
    /// Shortly: what was done has consequences that are not seen yet.
    Soon,
    /// After this time.
    After(Duration),
    /// When something changes.
    WhenWoken,
    /// Never: nothing is left of the instance.
    Gone,
}

/// Why a pass ended early. It is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl PassError {
    pub(super) fn whole_text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(why) = cause {
            text = format!("{text}: {why}");
            cause = why.source();
        }
        text
    }
}

impl Worker {
    /// Looks at the instance once and does what is to be done.
    pub(super) async fn pass(&mut self) -> Result<Next, PassError> {
        let Some(mut record) = self.shared.adapters.records.get(&self.instance).await? else {
            self.content.shutdown().await;
            self.publish_end();
            return Ok(Next::Gone);
        };
        self.publish(&record);
        let now = self.shared.now();
        let facts = self.facts(&record).await?;
        let mut used = record.clone();
        self.shared.add_last_use(&mut used);
        let (status, events) = self.next_status(&used, &facts, now);
        if let Some(outcome) = &self.outcome {
            outcome.describe_ports(&mut record.spec); // kept together with the new status
        }
        if content_step(&record.spec, &status) == ContentStep::GiveUp {
            self.content.shutdown().await; // before anyone is told that it has stopped
        }
        let Some(record) = self.store(record, status).await? else {
            return Ok(Next::Now);
        };
        self.outcome = None; // is in the record now
        self.tell(&events);
        self.act(record, &facts, now).await
    }

    async fn facts(&self, record: &Record) -> Result<Facts, PassError> {
        let facts = self.shared.adapters.cluster.facts(&self.instance).await?;
        let facts = facts.with_maintenance(self.shared.maintenance());
        Ok(match record.status.owner_token {
            Some(_) => facts,
            None => facts.with_fresh_token(Token::random()),
        })
    }

    /// What the status is now, and what is worth telling of it.
    fn next_status(&self, record: &Record, facts: &Facts, now: Timestamp) -> (Status, Vec<Event>) {
        let settings = &self.shared.settings;
        let mut known = record.status.clone();
        if let Some(outcome) = &self.outcome {
            outcome.record(&mut known, now);
        }
        let seen = observe(&record.spec, &known, facts, settings, now);
        let (mut status, mut events) = (seen.status, seen.events);
        let missed = self.shared.missed(record);
        let (spec, maintenance) = (&record.spec, facts.maintenance);
        let verdict = timeout_but(spec, &status, maintenance, settings, missed, now);
        if let Some(fired) = verdict.fired {
            events.push(fired.record(&mut status, now));
        }
        // Limits count to the moment, records to the second.
        status.last_activity = status.last_activity.map(whole_seconds);
        (status, events)
    }

    /// Keeps and publishes `status`. `None` if somebody else has changed the
    /// record: then everything has to be decided anew.
    async fn store(
        &mut self,
        mut record: Record,
        status: Status,
    ) -> Result<Option<Record>, PassError> {
        if record.status == status {
            return Ok(Some(record));
        }
        record.status = status;
        match self.shared.adapters.records.replace(record).await {
            Ok(record) => {
                self.publish(&record);
                Ok(Some(record))
            }
            Err(RecordError::Changed(_)) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    async fn act(
        &mut self,
        mut record: Record,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Next, PassError> {
        let settings = &self.shared.settings;
        let decided = plan(&record.spec, &record.status, facts, settings, now);
        for action in decided.actions {
            match self.perform(action, record).await? {
                Some(next) => record = next,
                None => return Ok(Next::Now),
            }
        }
        self.see_to_content(&record).await?;
        Ok(self.when(&record, decided.look_again, now))
    }

    /// Performs one action. `None` if everything has to be decided anew.
    async fn perform(
        &mut self,
        action: Action,
        record: Record,
    ) -> Result<Option<Record>, PassError> {
        let shared = std::sync::Arc::clone(&self.shared);
        let (cluster, id) = (&shared.adapters.cluster, &self.instance);
        match action {
            Action::CreateRunner { name, when_created } => {
                return match cluster.create(&record.spec, &name).await {
                    Ok(Created::New) => {
                        let stored = self.store(record, *when_created).await?;
                        self.tell(&[Event::Creating]);
                        Ok(stored)
                    }
                    Ok(Created::Existed) => Ok(Some(record)),
                    Err(ClusterError::Refused { why, .. }) => self.fail(record, why).await,
                    Err(why) => Err(why.into()),
                };
            }
            Action::DeleteRunner { name, grace } => cluster.delete(id, &name, grace).await?,
            Action::ReleaseRunner { name } => cluster.release(id, &name).await?,
            Action::DropSecrets => cluster.drop_secrets(id).await?,
            Action::StoreStatus { status, event } => {
                let stored = self.store(record, *status).await?;
                self.tell(event.as_slice());
                return Ok(stored);
            }
            Action::ForgetInstance => {
                shared.adapters.records.delete(id).await?;
                self.tell(&[Event::Deleting]);
                return Ok(None);
            }
        }
        Ok(Some(record))
    }

    /// The platform will never run it.
    async fn fail(&mut self, record: Record, why: String) -> Result<Option<Record>, PassError> {
        let mut status = record.status.clone();
        self.tell(&[Event::Failed(why.clone())]);
        let failed = Condition::holds(ConditionType::Failed, self.shared.clock.now()).saying(why);
        status.conditions.set(failed);
        self.store(record, status).await?;
        Ok(None)
    }

    async fn see_to_content(&mut self, record: &Record) -> Result<(), PassError> {
        let shared = std::sync::Arc::clone(&self.shared);
        let cluster = &shared.adapters.cluster;
        match content_step(&record.spec, &record.status) {
            ContentStep::Nothing | ContentStep::GiveUp => {}
            ContentStep::Prepare if self.content.is_empty() => {
                cluster
                    .content(&record.spec, ContentStage::Preparing)
                    .await?;
                self.prepare_content(&record.spec);
            }
            ContentStep::Announce if !self.announced => {
                cluster.content(&record.spec, ContentStage::Ready).await?;
                self.announced = true;
            }
            ContentStep::Prepare | ContentStep::Announce => {}
            ContentStep::Finish => self.finish_content(&record.spec),
            ContentStep::Wipe => {
                self.announced = false; // the next runner has to be told again
                self.content.spawn(async { ContentOutcome::Wiped });
            }
        }
        Ok(())
    }

    fn when(&self, record: &Record, again: LookAgain, now: Timestamp) -> Next {
        let (settings, maintenance) = (&self.shared.settings, self.shared.maintenance());
        // As it was decided by: what is recorded of the last use is rounded down.
        let mut used = record.clone();
        self.shared.add_last_use(&mut used);
        let (spec, status, missed) = (&used.spec, &used.status, self.shared.missed(&used));
        let verdict = timeout_but(spec, status, maintenance, settings, missed, now);
        let limit = verdict.deadline.map(|at| {
            let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            left.min(LONGEST_SLEEP)
        });
        let limit = limit.or(verdict.look_again_after);
        match (again, limit) {
            (LookAgain::Soon, _) => Next::Soon,
            (LookAgain::After(wait), Some(limit)) => Next::After(wait.min(limit)),
            (LookAgain::After(wait), None) | (LookAgain::WhenChanged, Some(wait)) => {
                Next::After(wait)
            }
            (LookAgain::WhenChanged, None) => Next::WhenWoken,
        }
    }

    fn tell(&self, events: &[Event]) {
        for event in events {
            let (instance, reason, message) = (&self.instance, event.reason(), event.message());
            match event.is_warning() {
                true => warn!(%instance, reason, message, "workspace"),
                false => info!(%instance, reason, message, "workspace"),
            }
        }
    }
}

/// A machine that was asleep does not count that time: a limit that has passed
/// meanwhile is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
