//! The one task that looks after all open streams.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt};
use tokio::time::{sleep, timeout};

use crate::change::Changes;
use crate::id::WorkspaceId;
use crate::info::{Lookup, ProviderError, WorkspaceInfo};
use crate::revocation::Shared;
use crate::share::ShareId;

/// Looks at what is open after each change, and ends once nothing is.
pub(super) async fn until_nothing_is_open(mut sweep: Sweep) {
    let shared = sweep.0.clone();
    let mut news = match shared.upgrade() {
        Some(shared) => News::of(&shared),
        None => return,
    };
    loop {
        let patience = {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            {
                let mut open = shared.lock();
                if open.workspaces.is_empty() {
                    open.is_swept = false;
                    sweep.0 = Weak::new();
                    return;
                }
            }
            let has_visitors = shared.look().await;
            news.patience(has_visitors)
        };
        // Changes that come together are looked at together.
        sleep(PAUSE).await;
        let _elapsed = timeout(patience, news.wait()).await;
    }
}

/// Somebody looks. If that ends with its runtime, even before it began, the next stream has
/// to start another task.
pub(super) struct Sweep(Weak<Shared>);

impl Sweep {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.lock().is_swept = false;
        }
    }
}

/// What tells of changes.
struct News {
    provider: Option<Changes>,
    shares: Option<Changes>,
    opened: Changes,
}

impl News {
    fn of(shared: &Shared) -> Self {
        Self {
            provider: shared.provider.changes(),
            shares: shared.shares.as_ref().and_then(|shares| shares.changes()),
            opened: shared.opened.subscribe(),
        }
    }

    /// How long to wait for news: shares also end by themselves, at their time.
    fn patience(&self, has_visitors: bool) -> Duration {
        match self.provider.is_some() && !has_visitors {
            true => UNASKED,
            false => POLL,
        }
    }

    async fn wait(&mut self) {
        let all = [
            self.provider.as_mut(),
            self.shares.as_mut(),
            Some(&mut self.opened),
        ];
        let mut all: Vec<&mut Changes> = all.into_iter().flatten().collect();
        poll_fn(|cx| {
            // Every one, so that each is seen.
            let news = all.iter_mut().map(|one| one.poll_changed(cx).is_ready());
            match news.fold(false, |any, one| any | one) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

impl Shared {
    /// Compares everything open with what is known now. Tells whether visitors are among it.
    async fn look(&self) -> bool {
        let workspaces: Vec<WorkspaceId> = self.lock().workspaces.keys().cloned().collect();
        let answers = stream::iter(workspaces).map(|id| async move {
            let answer = match self.provider.cached(&id) {
                Some(answer) => answer,
                None => self.ask(&id).await,
            };
            (id, answer)
        });
        let mut answers = std::pin::pin!(answers.buffer_unordered(AT_ONCE));
        while let Some((id, answer)) = answers.next().await {
            match answer {
                Ok(now) => self.compare(&id, now),
                Err(why) => tracing::debug!(workspace = %id, error = %why, "streams go on"),
            }
        }
        self.look_at_shares().await
    }

    async fn ask(&self, id: &WorkspaceId) -> Lookup {
        let answer = timeout(ANSWER, self.provider.workspace_info(id)).await;
        answer.unwrap_or(Err(ProviderError::NotReady))
    }

    fn compare(&self, id: &WorkspaceId, now: Option<Arc<WorkspaceInfo>>) {
        let mut open = self.lock();
        let Some(watched) = open.workspaces.get_mut(id) else {
            return;
        };
        let is_seen = match (&watched.seen, &now) {
            (Some(seen), Some(now)) => Arc::ptr_eq(seen, now),
            _ => false,
        };
        if !is_seen {
            watched.compare(now.as_ref().filter(|now| now.id == *id));
            watched.seen = now;
        }
    }

    async fn look_at_shares(&self) -> bool {
        let visited = self.visited();
        let Some(shares) = self.shares.as_ref().filter(|_| !visited.is_empty()) else {
            return false;
        };
        let answers = stream::iter(visited).map(|(id, share)| async move {
            let stands = match timeout(ANSWER, shares.find(share)).await {
                Ok(Ok(found)) => found.is_some_and(|share| share.is_valid_at(SystemTime::now())),
                Ok(Err(_)) | Err(_) => true, // not known
            };
            (id, share, stands)
        });
        let mut answers = std::pin::pin!(answers.buffer_unordered(AT_ONCE));
        while let Some((id, share, stands)) = answers.next().await {
            if let (false, Some(watched)) = (stands, self.lock().workspaces.get(&id)) {
                watched.end_share(share);
            }
        }
        true
    }

    /// Which shares have visitors with something open.
    fn visited(&self) -> Vec<(WorkspaceId, ShareId)> {
        let open = self.lock();
        let mut visited: Vec<(WorkspaceId, ShareId)> = Vec::new();
        for (id, watched) in &open.workspaces {
            let shares = watched.streams.values().filter_map(|one| one.share());
            visited.extend(shares.map(|share| (id.clone(), share)));
        }
        visited.sort_unstable();
        visited.dedup();
        visited
    }
}

/// Between two looks: a storm of changes costs a fixed part of one processor.
const PAUSE: Duration = Duration::from_millis(50);

/// For providers that tell of no changes, and for visitors of shares that expire. With the
/// pause it leaves half of the second that a stream may outlive its right.
const POLL: Duration = Duration::from_millis(450);

/// With a provider that tells of changes: only to notice that nothing is open any more.
const UNASKED: Duration = Duration::from_secs(30);

/// How long one answer may take. Later it is as good as none.
const ANSWER: Duration = Duration::from_secs(2);

/// Workspaces asked about at a time.
const AT_ONCE: usize = 64;
