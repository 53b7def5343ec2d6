//! Tells others that something has changed, and nothing about what.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Tells that something has changed: for implementers of
/// [`WorkspaceInfoProvider`](crate::WorkspaceInfoProvider) and the stores of this crate.
///
/// Sending costs two atomic operations while nobody waits. Clones are one and the same.
///
/// ```
/// use gitpod_routing::ChangeSignal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let signal = ChangeSignal::new();
/// let mut changes = signal.subscribe();
/// signal.send();
/// signal.send(); // both are one change to who has not looked in between
/// changes.changed().await;
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ChangeSignal(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: AtomicU64,
    is_awaited: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl ChangeSignal {
    /// With no change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something has changed. Call this after the change can be seen.
    pub fn send(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        if !self.0.is_awaited.load(Ordering::SeqCst) {
            return;
        }
        let waiting = {
            let mut waiting = self.0.lock();
            self.0.is_awaited.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        for waker in waiting {
            waker.wake();
        }
    }

    /// Sees the changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        Changes {
            seen: self.0.count.load(Ordering::SeqCst),
            shared: Arc::clone(&self.0),
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ChangeSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeSignal").finish_non_exhaustive()
    }
}

/// Sees what a [`ChangeSignal`] tells. Changes while nobody looks are one.
pub struct Changes {
    shared: Arc<Shared>,
    seen: u64,
}

impl Changes {
    /// Waits for a change that was not seen yet. May be dropped at any time.
    pub async fn changed(&mut self) {
        poll_fn(|cx| self.poll_changed(cx)).await;
    }

    /// As [`changed`](Self::changed), for futures written by hand.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.look() {
            return Poll::Ready(());
        }
        let mut waiting = self.shared.lock();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        self.shared.is_awaited.store(true, Ordering::SeqCst);
        drop(waiting);
        // A change between the first look and the lock woke nobody.
        match self.look() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn look(&mut self) -> bool {
        let count = self.shared.count.load(Ordering::SeqCst);
        std::mem::replace(&mut self.seen, count) != count
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    #[test]
    fn who_waits_is_woken_once_for_changes_that_were_not_seen() {
        let signal = ChangeSignal::new();
        signal.send();
        let mut changes = signal.subscribe();
        let mut other = signal.subscribe();
        {
            let mut waits = task::spawn(changes.changed());
            assert_pending!(waits.poll());
            signal.send();
            assert!(waits.is_woken());
            assert_ready!(waits.poll());
        }
        let mut waits = task::spawn(changes.changed());
        assert_pending!(waits.poll());
        assert_ready!(task::spawn(other.changed()).poll());
    }
}
