//! Outbox → publisher.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::publish::Publisher;
use crate::store::{Outbox, OutboxEntry, StoreError};

/// Publishes what is in the outbox, at least once.
///
/// Any number may run, in any number of processes. Several entries about one
/// topic that are taken together are published as one: receivers read the row
/// again, and all of them are committed. While there is nothing to do it sleeps
/// until this process appends something, or [`poll`](RelaySettings::poll) is over.
#[derive(Clone, Debug)]
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn Publisher>,
    settings: RelaySettings,
}

/// Limits of a [`Relay`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RelaySettings {
    /// Most entries taken at once: 100, so that one that is stuck does not keep
    /// many others.
    pub batch: u32,
    /// How long one message may take: 2 s, after which it is tried again later.
    pub publish_timeout: Duration,
    /// How often to look for what other processes appended: 30 s. Each look is
    /// one query, so that an idle relay costs nothing that can be measured.
    pub poll: Duration,
    /// First wait after a failure: 200 ms. It doubles with each further failure.
    pub first_wait: Duration,
    /// Longest wait after a failure: 30 s.
    pub longest_wait: Duration,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            batch: 100,
            publish_timeout: Duration::from_secs(2),
            poll: Duration::from_secs(30),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl RelaySettings {
    /// How long to wait before a message is tried again that failed `failures` times.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let wait = self.first_wait.saturating_mul(1 << doublings);
        wait.min(self.longest_wait)
    }
}

impl Relay {
    /// Publishes what `outbox` holds through `publisher`.
    #[must_use]
    pub fn new(outbox: Arc<dyn Outbox>, publisher: Arc<dyn Publisher>) -> Self {
        Self {
            outbox,
            publisher,
            settings: RelaySettings::default(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn with_settings(mut self, settings: RelaySettings) -> Self {
        self.settings = settings;
        self
    }

    /// Publishes until `stop` is cancelled; then once more what is due.
    pub async fn run(self, stop: CancellationToken) {
        let appended = self.outbox.appended();
        while !stop.is_cancelled() {
            let wait = self.drain_and_wait().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = appended.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = self.drain().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "last announcements wait for the next start"
            );
        }
    }

    async fn drain_and_wait(&self) -> Duration {
        let due = match self.drain().await {
            Ok(_) => self.outbox.due_in().await,
            Err(error) => Err(error),
        };
        match due {
            Ok(due) => due.map_or(self.settings.poll, |due| due.min(self.settings.poll)),
            Err(error) => {
                let wait = self.settings.longest_wait;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "announcements wait"
                );
                wait
            }
        }
    }

    /// Publishes all that is due now; how many entries that were.
    ///
    /// Failures of the publisher are not errors: the entries stay for later.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the outbox cannot be read or written.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let mut published = 0;
        loop {
            let batch = self.outbox.take(self.settings.batch, self.hold()).await?;
            if batch.is_empty() {
                return Ok(published);
            }
            published += self.publish_batch(&batch).await?;
        }
    }

    /// Long enough for a whole batch to fail, so that no other relay takes it meanwhile.
    fn hold(&self) -> Duration {
        let whole = self
            .settings
            .publish_timeout
            .saturating_mul(self.settings.batch);
        whole.max(Duration::from_secs(1))
    }

    async fn publish_batch(&self, batch: &[OutboxEntry]) -> Result<usize, StoreError> {
        let mut failed = HashSet::new();
        for entry in last_of_each_topic(batch) {
            if !self.publish(entry).await {
                failed.insert(&entry.message.topic);
            }
        }
        let (kept, done): (Vec<_>, Vec<_>) = batch
            .iter()
            .partition(|entry| failed.contains(&entry.message.topic));
        let done: Vec<_> = done.iter().map(|entry| entry.id).collect();
        self.outbox.remove(&done).await?;
        for entry in kept {
            let wait = self.settings.wait_after(entry.attempts.saturating_add(1));
            self.outbox.give_back(&[entry.id], wait).await?;
        }
        Ok(done.len())
    }

    async fn publish(&self, entry: &OutboxEntry) -> bool {
        let publishing = self.publisher.publish(&entry.message);
        let timeout = self.settings.publish_timeout;
        let failure = match tokio::time::timeout(timeout, publishing).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(elapsed) => Some(crate::PublishError::new(elapsed)),
        };
        let kind = crate::metrics::kind_of(&entry.message.channel);
        crate::metrics::published(kind, failure.is_some());
        if let Some(error) = &failure {
            let error = error as &dyn std::error::Error;
            tracing::warn!(
                error,
                topic = entry.message.topic,
                "announcement failed, will be tried again"
            );
        }
        failure.is_none()
    }
}

/// One entry for each topic, the last one, in the order of the first ones.
fn last_of_each_topic(batch: &[OutboxEntry]) -> Vec<&OutboxEntry> {
    let mut places = HashMap::new();
    let mut last: Vec<&OutboxEntry> = Vec::new();
    for entry in batch {
        let topic = (&entry.message.channel, &entry.message.topic);
        match places
            .get(&topic)
            .and_then(|place: &usize| last.get_mut(*place))
        {
            Some(known) => *known = entry,
            None => {
                places.insert(topic, last.len());
                last.push(entry);
            }
        }
    }
    last
}
