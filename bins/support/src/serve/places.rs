//! How many connections there may be, and who goes when there are too many.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::handed::Ending;
use super::load::{Load, Share};
use crate::limits::{Limit, refused};

/// Places for connections. When all are taken, who has been silent for longest loses its own: so
/// connections on which nothing is asked, however many, keep nobody out.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    began: Instant,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Connection>>,
}

/// What is known of one connection.
struct Connection {
    /// Requests that are under way.
    busy: AtomicUsize,
    has_asked: AtomicBool,
    /// Since when there are none, in milliseconds.
    idle_since: AtomicU64,
    is_lost: AtomicBool,
    lost: Notify,
}

/// Of all places, how few are made free at once when none is left.
const PART: usize = 64;

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            began: Instant::now(),
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// A place, for which somebody silent may have to go. Waits while everybody is busy. `of_source` is
    /// dropped with it.
    pub(super) async fn take(&self, mut of_source: Option<Share>) -> Place {
        loop {
            let freed = self.0.freed.notified();
            if let Some(place) = self.try_take(&mut of_source) {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(&self, of_source: &mut Option<Share>) -> Option<Place> {
        let mut taken = self.0.lock();
        if taken.seats.len() >= self.0.most {
            taken.send_some_away(self.0.most.div_ceil(PART));
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        let connection = Arc::new(Connection {
            busy: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
            idle_since: AtomicU64::new(self.0.now()),
            is_lost: AtomicBool::new(false),
            lost: Notify::new(),
        });
        taken.seats.insert(number, Arc::clone(&connection));
        drop(taken);
        metrics::gauge!("http_connections").increment(1.0);
        Some(Place(Arc::new(Held {
            shared: Arc::clone(&self.0),
            number,
            connection,
            load: Load::default(),
            ending: Ending::default(),
            share: of_source.take(),
        })))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("most", &self.0.most)
            .finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing in it is half done when a thread panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Taken {
    /// Whoever is on the way out frees a place for the one who waits, and for some who come after her: in a flood of
    /// connections not each newcomer has to wait until somebody has gone.
    fn send_some_away(&self, some: usize) {
        if self
            .seats
            .values()
            .any(|seat| seat.is_lost.load(Ordering::Acquire))
        {
            return;
        }
        let idle = self
            .seats
            .values()
            .filter(|seat| seat.busy.load(Ordering::Acquire) == 0);
        let mut idle: Vec<_> = idle
            .map(|seat| (seat.idle_since.load(Ordering::Acquire), seat))
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, seat) in idle.into_iter().take(some) {
            refused(Limit::Connections);
            seat.is_lost.store(true, Ordering::Release);
            seat.lost.notify_one();
        }
    }
}

/// The place of one connection and of what it becomes. Free once the last clone is dropped.
#[derive(Clone)]
pub(super) struct Place(Arc<Held>);

struct Held {
    shared: Arc<Shared>,
    number: u64,
    connection: Arc<Connection>,
    load: Load,
    ending: Ending,
    share: Option<Share>,
}

impl Place {
    /// Waits until somebody else gets it.
    pub(super) async fn lost(&self) {
        self.0.connection.lost.notified().await;
    }

    /// What requests on the connection take up.
    pub(super) fn load(&self) -> &Load {
        &self.0.load
    }

    /// What ends the connection beside its answer, over HTTP/1.1.
    pub(super) fn ending(&self) -> &Ending {
        &self.0.ending
    }

    /// Of the source of the connection.
    pub(super) fn share(&self) -> Option<&Share> {
        self.0.share.as_ref()
    }

    /// Something is asked on the connection. Tells how much is at the moment.
    pub(super) fn begin(&self) -> (Busy, usize) {
        let connection = &self.0.connection;
        connection.has_asked.store(true, Ordering::Release);
        let busy = connection.busy.fetch_add(1, Ordering::AcqRel) + 1;
        (Busy(self.clone()), busy)
    }

    /// Whether anything was ever asked on the connection.
    pub(super) fn has_asked(&self) -> bool {
        self.0.connection.has_asked.load(Ordering::Acquire)
    }
}

/// One request on a connection, or what it has become.
pub(super) struct Busy(Place);

impl Busy {
    pub(super) fn place(&self) -> &Place {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let held = &self.0.0;
        let now = held.shared.now();
        held.connection.idle_since.store(now, Ordering::Release);
        if held.connection.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            held.shared.freed.notify_one(); // somebody may wait for one who is silent
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.lock().seats.remove(&self.number);
        self.shared.freed.notify_one();
        metrics::gauge!("http_connections").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_longest_makes_room_and_nobody_who_asks() {
        let places = Places::new(3);
        let first = places.take(None).await;
        advance(Duration::from_secs(1)).await;
        let second = places.take(None).await;
        let third = places.take(None).await;
        let (asking, count) = first.begin();
        assert_eq!(count, 1);

        let mut fourth = Box::pin(places.take(None));
        assert!(timeout(SOON, &mut fourth).await.is_err());
        assert!(timeout(SOON, first.lost()).await.is_err());
        let lost = [
            timeout(SOON, second.lost()).await,
            timeout(SOON, third.lost()).await,
        ];
        assert_eq!(lost.iter().filter(|lost| lost.is_ok()).count(), 1);
        drop((second, third));
        let fourth = fourth.await;

        let fifth = places.take(None).await;
        let (_busy, _) = fifth.begin();
        let (_busy_too, _) = fourth.begin();
        let mut sixth = Box::pin(places.take(None));
        assert!(timeout(SOON, &mut sixth).await.is_err()); // everybody is busy
        drop(asking);
        assert!(timeout(SOON, &mut sixth).await.is_err());
        assert!(timeout(SOON, first.lost()).await.is_ok());
        drop(first);
        sixth.await;
    }
}
