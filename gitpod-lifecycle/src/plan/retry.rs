//! Another runner for an instance whose machine refused the one before.

use std::time::Duration;

use crate::condition::{Condition, ConditionType};
use crate::event::Event;
use crate::phase::Phase;
use crate::status::Status;

use super::{Action, LookAgain, Plan, Question};

impl Question<'_> {
    /// What comes after a refused runner that is gone. Section 8.3.
    pub(super) fn retry(&self) -> Plan {
        let recreation = self.settings.recreation;
        if self.status.runner_recreated > recreation.max_retries {
            return self.give_up("no machine accepted its runner");
        }
        if self.improved() && self.is_unwanted() {
            return self.give_up("nobody wants it any more");
        }
        let Some(gone_since) = self.status.runner_deletion_time else {
            return Plan::of([], LookAgain::After(UNTIL_TIME_IS_NOTED));
        };
        let backoff = match recreation.backoff {
            Duration::ZERO => LEAST_BACKOFF,
            backoff => backoff,
        };
        let passed = Duration::try_from(self.now.duration_since(gone_since)).unwrap_or_default();
        if passed < backoff {
            return Plan::of([], LookAgain::After(backoff.saturating_sub(passed)));
        }
        let start_over = Action::StoreStatus {
            status: Box::new(self.status_from_the_start()),
            event: Some(Event::Recreating),
        };
        Plan::of([start_over], LookAgain::Soon)
    }

    /// Whether somebody asked for its end while its runner was refused. The
    /// reference system starts over, and forgets that it was asked.
    fn is_unwanted(&self) -> bool {
        let asked = [
            ConditionType::StoppedByRequest,
            ConditionType::Aborted,
            ConditionType::Timeout,
        ];
        self.spec.deletion_requested_at.is_some() || asked.iter().any(|kind| self.holds(kind))
    }

    /// The status of an instance that starts over.
    fn status_from_the_start(&self) -> Status {
        let mut fresh = Status::new();
        fresh.phase = Phase::Pending;
        fresh.owner_token.clone_from(&self.status.owner_token);
        fresh.runner_starts = self.status.runner_starts;
        fresh.runner_recreated = self.status.runner_recreated.saturating_add(1);
        fresh
            .conditions
            .set(Condition::fails(ConditionType::PodRejected, self.now));
        fresh
    }

    /// Q3: the reference system decides the same, and forgets to write it down.
    fn give_up(&self, why: &str) -> Plan {
        let mut status = self.status.clone();
        let refused = Condition::fails(ConditionType::PodRejected, self.now);
        status.conditions.set(refused.saying(why));
        let store = Action::StoreStatus {
            status: Box::new(status),
            event: None,
        };
        Plan::of([store], LookAgain::Soon)
    }
}

/// For a pass to note when the runner was gone.
const UNTIL_TIME_IS_NOTED: Duration = Duration::from_secs(5);
/// Less would let one machine mix up two runners of one instance.
const LEAST_BACKOFF: Duration = Duration::from_secs(15);
