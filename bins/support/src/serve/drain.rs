//! The end: no more, finish, say so, cut.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a server ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// Nobody serves here any more: connections on which nothing is asked are closed.
    Stop,
    /// Another process gets the listener: connections stay open, and their clients hear with each answer that the
    /// next request needs another one. Their time begins to run once this is cancelled: when it is certain that the
    /// other one serves. If it never is, they stay as long as they like.
    HandOver(CancellationToken),
}

/// Where every connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Served.
    Open,
    /// Served, with the word that it ends.
    Parting,
    /// Finished.
    Ending,
    /// Cut.
    Over,
}

/// Who is connected, tunnels included.
#[derive(Clone, Debug)]
pub(super) struct Visitors {
    pub(super) present: TaskTracker,
    phase: Arc<watch::Sender<Phase>>,
    /// Whether tunnels have to go.
    tunnels: Arc<watch::Sender<bool>>,
}

impl Visitors {
    pub(super) fn new() -> Self {
        Self {
            present: TaskTracker::new(),
            phase: Arc::new(watch::Sender::new(Phase::Open)),
            tunnels: Arc::new(watch::Sender::new(false)),
        }
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn tunnels_over(&self) -> watch::Receiver<bool> {
        self.tunnels.subscribe()
    }

    /// Sees everybody off within `budget`, and a moment for who has to be told.
    pub(super) async fn drain(&self, ending: Ending, budget: Duration) {
        self.present.close();
        match ending {
            Ending::Stop => drop(self.phase.send_replace(Phase::Ending)),
            Ending::HandOver(is_certain) => {
                self.phase.send_replace(Phase::Parting);
                tokio::select! {
                    () = is_certain.cancelled() => {}
                    () = self.present.wait() => {}
                }
            }
        }
        if timeout(budget, self.present.wait()).await.is_ok() {
            return;
        }
        let left = self.present.len();
        tracing::warn!(?budget, left, "what took too long is ended");
        metrics::counter!("http_drain_cut_total").increment(left.try_into().unwrap_or_default());
        self.tunnels.send_replace(true);
        self.phase.send_replace(Phase::Ending);
        if timeout(FAREWELL, self.present.wait()).await.is_err() {
            self.phase.send_replace(Phase::Over);
            let _ = timeout(FAREWELL, self.present.wait()).await;
        }
    }
}

/// For a close frame, and its answer.
const FAREWELL: Duration = Duration::from_millis(1500);
