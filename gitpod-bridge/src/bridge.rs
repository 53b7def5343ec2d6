//! Source → queues → store: what runs all the time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt;
use futures_util::stream::Fuse;
use gitpod_lifecycle::StatusUpdate;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::apply::Apply;
use crate::map::Origin;
use crate::queue::Queues;
use crate::source::{SourceError, StatusSource, StatusStream};
use crate::store::{InstanceStore, StoreError};

/// Keeps a store up to date with the statuses of one cluster.
///
/// Statuses of one instance are taken in order, one at a time; those of several
/// instances beside each other. Any number of bridges may serve one cluster: each
/// status is applied once, and is a duplicate for all but the first.
#[derive(Debug)]
pub struct Bridge {
    source: Arc<dyn StatusSource>,
    apply: Apply,
    settings: BridgeSettings,
}

/// Limits of a [`Bridge`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BridgeSettings {
    /// Most statuses taken beside each other: 16, since a database of one
    /// machine gains nothing from more.
    pub concurrency: usize,
    /// How often to ask for the whole list, as a safety net: 10 min.
    pub relist: Duration,
    /// First wait before connecting again: 1 s. It doubles up to
    /// [`longest_wait`](Self::longest_wait), with jitter.
    pub first_wait: Duration,
    /// Longest wait before connecting again: 30 s.
    pub longest_wait: Duration,
    /// How long a stream must last for the waits to start over: 60 s.
    pub healthy_after: Duration,
    /// How long a stopping bridge goes on with what it has in wait: 10 s.
    pub drain: Duration,
}

impl Default for BridgeSettings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            relist: Duration::from_secs(600),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            healthy_after: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

impl Bridge {
    /// Takes what `source` reports, as `origin`, into `store`.
    #[must_use]
    pub fn new(
        source: Arc<dyn StatusSource>,
        store: Arc<dyn InstanceStore>,
        origin: Origin,
    ) -> Self {
        Self {
            source,
            apply: Apply::new(store, origin),
            settings: BridgeSettings::default(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn with_settings(mut self, settings: BridgeSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Runs until `stop` is cancelled; then finishes what is in wait.
    pub async fn run(self, stop: CancellationToken) {
        let mut work = Work::new(self.apply.clone(), self.settings.concurrency);
        let mut waits = self.waits();
        while !stop.is_cancelled() {
            let connected = Instant::now();
            let lost = tokio::select! {
                lost = self.follow(&mut work) => lost,
                () = stop.cancelled() => break,
            };
            if connected.elapsed() >= self.settings.healthy_after {
                waits = self.waits();
            }
            let wait = waits.next().unwrap_or(self.settings.longest_wait);
            if let Err(error) = lost {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    ?wait,
                    "statuses do not arrive"
                );
            }
            tokio::select! {
                () = work.go_on_for(wait) => {}
                () = stop.cancelled() => break,
            }
        }
        work.finish(self.settings.drain).await;
    }

    fn waits(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.settings.first_wait)
            .with_max_delay(self.settings.longest_wait)
            .without_max_times()
            .with_jitter()
            .build()
    }

    /// One subscription: opened before the list is asked for, so that nothing
    /// falls between. Ends when the stream does.
    async fn follow(&self, work: &mut Work) -> Result<(), SourceError> {
        let mut stream = self.source.subscribe().await?.fuse();
        loop {
            let (list, meanwhile) = self.list_beside(&mut stream).await?;
            work.take_all(list);
            work.take_all(meanwhile);
            let relist = tokio::time::sleep(self.settings.relist);
            if work.follow(&mut stream, relist).await?.is_break() {
                return Ok(());
            }
        }
    }

    /// The whole list, and what `stream` brought while it was asked for: a
    /// manager drops those who do not read for long.
    async fn list_beside(
        &self,
        stream: &mut Fuse<StatusStream>,
    ) -> Result<(Vec<StatusUpdate>, Vec<StatusUpdate>), SourceError> {
        let mut list = self.source.list();
        let mut meanwhile = Vec::new();
        loop {
            tokio::select! {
                biased;
                listed = &mut list => return Ok((listed?, meanwhile)),
                Some(status) = stream.next() => meanwhile.push(status?),
            }
        }
    }
}

/// What is in wait, and what is being taken.
#[derive(Debug)]
struct Work {
    apply: Apply,
    concurrency: usize,
    queues: Queues,
    running: JoinSet<Taken>,
    relist: bool,
}

#[derive(Debug)]
struct Taken {
    id: String,
    result: Result<(), StoreError>,
}

impl Work {
    fn new(apply: Apply, concurrency: usize) -> Self {
        Self {
            apply,
            concurrency: concurrency.max(1),
            queues: Queues::default(),
            running: JoinSet::new(),
            relist: false,
        }
    }

    fn take_all(&mut self, statuses: Vec<StatusUpdate>) {
        for status in statuses {
            self.queues.push(status);
        }
        self.start();
    }

    /// Takes what `stream` brings. `Break` when it ends; `Continue` when the
    /// whole list is wanted again.
    async fn follow(
        &mut self,
        stream: &mut Fuse<StatusStream>,
        relist: tokio::time::Sleep,
    ) -> Result<ControlFlow<()>, SourceError> {
        tokio::pin!(relist);
        while !std::mem::take(&mut self.relist) {
            tokio::select! {
                next = stream.next() => match next {
                    Some(status) => self.take_all(vec![status?]),
                    None => return Ok(ControlFlow::Break(())),
                },
                () = self.one_taken(), if !self.running.is_empty() => {}
                () = &mut relist => break,
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Starts as many as may run beside each other.
    fn start(&mut self) {
        while self.running.len() < self.concurrency {
            let Some(status) = self.queues.take() else {
                return;
            };
            let apply = self.apply.clone();
            self.running.spawn(async move {
                let result = apply.take(&status).await.map(drop);
                Taken {
                    id: status.id,
                    result,
                }
            });
        }
    }

    /// Waits for one to end. Loses nothing when its future is dropped.
    async fn one_taken(&mut self) {
        let Some(ended) = self.running.join_next().await else {
            return;
        };
        match ended {
            Ok(Taken { id, result }) => {
                if let Err(error) = result {
                    tracing::error!(
                        instance = id,
                        error = &error as &dyn std::error::Error,
                        "status not taken"
                    );
                    self.relist |= error.is_transient();
                }
                self.queues.done(&id);
            }
            Err(error) => tracing::error!(%error, "taking a status ended early"),
        }
        self.start();
    }

    async fn all_taken(&mut self) {
        while !self.running.is_empty() {
            self.one_taken().await;
        }
    }

    /// Goes on with what is in wait, for as long as `wait`.
    async fn go_on_for(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        // Only the time ends this; what is in wait may end before.
        drop(tokio::time::timeout_at(until, self.all_taken()).await);
        tokio::time::sleep_until(until).await;
    }

    async fn finish(&mut self, limit: Duration) {
        if tokio::time::timeout(limit, self.all_taken()).await.is_err() {
            let left = self.queues.len();
            tracing::warn!(left, "statuses left; the next start asks for them again");
        }
    }
}
