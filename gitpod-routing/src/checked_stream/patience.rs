//! Waiting for a client that takes nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Measures how long the other side has been waited for, without a timer while it is not.
#[derive(Debug)]
pub(super) struct Patience {
    longest: Duration,
    /// From when it was waited for. Kept for the next time.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Patience {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            timer: None,
            is_waiting: false,
        }
    }

    /// It has moved.
    pub(super) fn rest(&mut self) {
        self.is_waiting = false;
    }

    /// It has not, and is waited for. Ready once that is too long.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let longest = self.longest;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(longest)));
        if !std::mem::replace(&mut self.is_waiting, true) {
            timer.as_mut().reset(Instant::now() + longest);
        }
        timer.as_mut().poll(cx)
    }
}
