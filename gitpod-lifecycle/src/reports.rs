//! Telling who is used: seldom, and until it is heard.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gitpod_routing::InstanceId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Uses that are to be told: the first of an instance at once, and then one for each
/// interval in which it was used. The last use is always among them.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    used: Mutex<HashSet<InstanceId>>,
    news: Notify,
}

/// Why somebody was not told of a use.
pub(crate) enum Lost<E> {
    /// Others may be told of.
    This(E),
    /// Nobody hears anything at the moment: a manager of another process is away.
    #[cfg_attr(
        not(any(feature = "grpc", test)),
        expect(dead_code, reason = "all others are asked in this process")
    )]
    All(E),
}

/// How many instances wait while nobody hears; more are left to their next use.
const MOST_WAITING: usize = 4096;
/// How long to wait before what was lost is told again; twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A use of longer ago is not worth a report: it would count as one of now.
const TOO_LATE: Duration = Duration::from_secs(300);

impl Reports {
    /// `instance` is used now.
    pub(crate) fn note(&self, instance: &InstanceId) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() < MOST_WAITING && !used.contains(instance) {
            used.insert(instance.clone());
            drop(used);
            self.news.notify_one();
        }
    }

    /// Tells each use by `tell`, and those again that were lost. Ends never.
    pub(crate) async fn deliver<E, F>(&self, interval: Duration, tell: impl Fn(InstanceId) -> F)
    where
        E: Error + 'static,
        F: Future<Output = Result<(), Lost<E>>>,
    {
        let mut waiting: HashMap<InstanceId, Instant> = HashMap::new();
        let mut wait = FIRST_WAIT;
        loop {
            if waiting.is_empty() {
                self.news.notified().await;
            }
            let now = Instant::now();
            waiting.extend(self.take().map(|instance| (instance, now)));
            waiting.retain(|_, used| now.duration_since(*used) < TOO_LATE);
            tell_all(&mut waiting, &tell).await;
            let oldest = waiting.values().map(Instant::elapsed).max();
            let oldest = oldest.unwrap_or_default();
            metrics::gauge!("gitpod_activity_unreported_seconds").set(oldest.as_secs_f64());
            if waiting.is_empty() {
                wait = FIRST_WAIT;
                sleep(interval).await;
            } else {
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }

    fn take(&self) -> impl Iterator<Item = InstanceId> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *used).into_iter()
    }
}

/// Leaves those in `waiting` that are to be told again.
async fn tell_all<E, F>(waiting: &mut HashMap<InstanceId, Instant>, tell: impl Fn(InstanceId) -> F)
where
    E: Error + 'static,
    F: Future<Output = Result<(), Lost<E>>>,
{
    let mut told = HashSet::new();
    for instance in waiting.keys() {
        let (why, next) = match tell(instance.clone()).await {
            Ok(()) => {
                told.insert(instance.clone());
                continue;
            }
            Err(Lost::This(why)) => (why, ControlFlow::Continue(())),
            Err(Lost::All(why)) => (why, ControlFlow::Break(())),
        };
        let why: &(dyn Error + 'static) = &why;
        tracing::warn!(%instance, why, "use is not recorded, and told again");
        if next.is_break() {
            break;
        }
    }
    waiting.retain(|instance, _| !told.contains(instance));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::lock;

    /// A manager that counts who is told to be active, while it can be reached.
    #[derive(Default)]
    struct Manager {
        told: Mutex<Vec<String>>,
        is_gone: Mutex<bool>,
    }

    fn stand() -> (Arc<Manager>, Arc<Reports>) {
        let manager = Arc::<Manager>::default();
        let reports = Arc::<Reports>::default();
        let (delivered, of) = (Arc::clone(&reports), Arc::clone(&manager));
        tokio::spawn(async move {
            let tell = |instance: InstanceId| {
                let is_there = !*lock(&of.is_gone);
                if is_there {
                    lock(&of.told).push(instance.to_string());
                }
                let why = std::io::Error::other("no way");
                async move { is_there.then_some(()).ok_or(Lost::All(why)) }
            };
            delivered.deliver(INTERVAL, tell).await;
        });
        (manager, reports)
    }

    fn id(instance: &str) -> InstanceId {
        instance.parse().unwrap()
    }

    const INTERVAL: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn report_that_is_lost_is_made_again_until_it_arrives_or_is_too_old() {
        let (manager, reports) = stand();
        *lock(&manager.is_gone) = true;
        reports.note(&id("i1"));
        sleep(Duration::from_secs(60)).await;
        assert!(lock(&manager.told).is_empty());
        *lock(&manager.is_gone) = false;
        sleep(LONGEST_WAIT).await;
        assert_eq!(*lock(&manager.told), ["i1"]); // once

        *lock(&manager.is_gone) = true;
        reports.note(&id("i2"));
        sleep(TOO_LATE + LONGEST_WAIT * 2).await;
        *lock(&manager.is_gone) = false;
        sleep(TOO_LATE).await;
        assert_eq!(*lock(&manager.told), ["i1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_uses_make_few_reports_and_the_last_use_is_one_of_them() {
        let (manager, reports) = stand();
        for _ in 0..23 {
            reports.note(&id("i1"));
            sleep(Duration::from_millis(500)).await;
        }
        sleep(INTERVAL).await;
        // At 0, 5 and 10 s, and of what came after that.
        assert_eq!(lock(&manager.told).len(), 4);
        sleep(INTERVAL * 3).await;
        assert_eq!(lock(&manager.told).len(), 4);
    }
}
