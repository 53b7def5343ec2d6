//! Waiting for servers in a workspace that has just been started.

use std::time::Duration;

use tokio::time::Instant;

use crate::id::WorkspaceId;
use crate::refusal::NotWoken;
use crate::wake::{Place, Wakes};

/// How long a server of a workspace may take until it listens. Whoever waits for it is counted
/// as one who waits for the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    wakes: Wakes,
    id: WorkspaceId,
    until: Instant,
}

impl Patience {
    pub(crate) fn new(wakes: Wakes, id: WorkspaceId, until: Instant) -> Self {
        Self { wakes, id, until }
    }

    /// The same, but over at `end`.
    pub(crate) fn until_at_most(mut self, end: Instant) -> Self {
        self.until = self.until.min(end);
        self
    }

    /// Whether there is some left after `pause`.
    pub(crate) fn lasts(&self, pause: Duration) -> bool {
        !*self.wakes.0.closed.borrow() && Instant::now() + pause <= self.until
    }

    /// Takes a place among those who wait.
    pub(crate) fn take_place(&self) -> Result<Place, NotWoken> {
        let shared = &self.wakes.0;
        shared.place(&mut shared.lock(), &self.id)
    }
}
