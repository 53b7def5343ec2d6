//! Statuses in wait: in order for each instance, and no more than needed.

use std::collections::{HashMap, VecDeque};

use gitpod_lifecycle::StatusUpdate;

/// One queue for each instance that has something in wait.
///
/// A status takes the place of the last one in wait if both are of one phase:
/// then the first sight of each phase is kept, and the queue of an instance is
/// never longer than the changes of its phase. A queue that is empty is
/// forgotten, so that nothing remains of instances that are silent.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    waiting: HashMap<String, Queue>,
    ready: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Queue {
    statuses: VecDeque<StatusUpdate>,
    busy: bool,
}

impl Queues {
    /// Adds `status` to the queue of its instance.
    pub(crate) fn push(&mut self, status: StatusUpdate) {
        let id = status.id.clone();
        let queue = self.waiting.entry(id.clone()).or_default();
        if queue.statuses.is_empty() && !queue.busy {
            self.ready.push_back(id);
        }
        match queue.statuses.back_mut() {
            Some(last) if last.phase == status.phase => {
                if !is_older(&status, last) {
                    *last = status;
                }
            }
            _ => queue.statuses.push_back(status),
        }
    }

    /// The next status of an instance that nobody works for. Its instance is
    /// busy from now on, until [`done`](Self::done).
    pub(crate) fn take(&mut self) -> Option<StatusUpdate> {
        let id = self.ready.pop_front()?;
        let queue = self.waiting.get_mut(&id)?;
        queue.busy = true;
        queue.statuses.pop_front()
    }

    /// Nobody works for instance `id` any more.
    pub(crate) fn done(&mut self, id: &str) {
        let Some(queue) = self.waiting.get_mut(id) else {
            return;
        };
        queue.busy = false;
        if queue.statuses.is_empty() {
            self.waiting.remove(id);
        } else {
            self.ready.push_back(id.to_owned());
        }
    }

    /// How many instances are busy or have something in wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Whether `status` is known to be older than `last`. Without version, the later one to come is newer.
fn is_older(status: &StatusUpdate, last: &StatusUpdate) -> bool {
    status.status_version != 0 && status.status_version < last.status_version
}

#[cfg(test)]
mod tests {
    use gitpod_lifecycle::UpdatePhase;

    use super::*;

    fn status(id: &str, phase: UpdatePhase, version: u64) -> StatusUpdate {
        let mut status = StatusUpdate::new(id, phase);
        status.status_version = version;
        status
    }

    fn taken(queues: &mut Queues) -> Option<u64> {
        queues.take().map(|status| status.status_version)
    }

    #[test]
    fn statuses_of_one_phase_become_one_and_first_sights_stay() {
        let mut queues = Queues::default();
        for (phase, version) in [
            (UpdatePhase::Creating, 1),
            (UpdatePhase::Running, 2),
            (UpdatePhase::Running, 4),
            (UpdatePhase::Running, 3), // late: not newer than the one in wait
            (UpdatePhase::Stopping, 5),
        ] {
            queues.push(status("a", phase, version));
        }
        let mut seen = Vec::new();
        while let Some(version) = taken(&mut queues) {
            seen.push(version);
            queues.done("a");
        }
        assert_eq!(seen, [1, 4, 5]);
    }

    #[test]
    fn instance_is_worked_for_by_one_at_a_time() {
        let mut queues = Queues::default();
        queues.push(status("a", UpdatePhase::Creating, 1));
        queues.push(status("b", UpdatePhase::Creating, 10));
        assert_eq!(taken(&mut queues), Some(1));
        queues.push(status("a", UpdatePhase::Running, 2));
        assert_eq!(taken(&mut queues), Some(10));
        assert_eq!(taken(&mut queues), None);
        queues.done("a");
        assert_eq!(taken(&mut queues), Some(2));
    }

    #[test]
    fn nothing_remains_of_silent_instances() {
        let mut queues = Queues::default();
        for id in 0..1000 {
            queues.push(status(&id.to_string(), UpdatePhase::Running, 1));
        }
        while let Some(status) = queues.take() {
            queues.done(&status.id);
        }
        assert_eq!(queues.len(), 0);
    }
}
