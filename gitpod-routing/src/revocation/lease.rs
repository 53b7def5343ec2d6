//! One open stream, and the right to it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::id::WorkspaceId;
use crate::info::WorkspaceInfo;
use crate::revocation::Shared;
use crate::share::ShareId;
use crate::stage::ShareStanding;

pub(super) type Stands = Box<dyn Fn(&WorkspaceInfo, ShareStanding) -> bool + Send + Sync>;

pub(super) struct Stream {
    stands: Stands,
    share: Option<ShareId>,
    has_lost_share: AtomicBool,
    is_revoked: AtomicBool,
    waker: AtomicWaker,
}

impl Stream {
    pub(super) fn new(stands: Stands, share: Option<ShareId>) -> Self {
        Self {
            stands,
            share,
            has_lost_share: AtomicBool::new(false),
            is_revoked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    pub(super) fn stands(&self, now: &WorkspaceInfo) -> bool {
        let share = match self.has_lost_share.load(Ordering::SeqCst) {
            true => ShareStanding::Over,
            false => ShareStanding::Stands,
        };
        (self.stands)(now, share)
    }

    /// The share that it may depend on, as long as that stands.
    pub(super) fn share(&self) -> Option<ShareId> {
        let is_over = self.has_lost_share.load(Ordering::SeqCst);
        self.share.filter(|_| !is_over)
    }

    /// Its share is over.
    pub(super) fn lose_share(&self) {
        self.has_lost_share.store(true, Ordering::SeqCst);
    }

    pub(super) fn revoke(&self) {
        if !self.is_revoked.swap(true, Ordering::SeqCst) {
            metrics::counter!("gitpod_ws_proxy_streams_revoked_total").increment(1);
            self.waker.wake();
        }
    }
}

/// The right to something open. See [`Revocation`](crate::Revocation).
///
/// Dropping it ends the watching. It is awaited by one task at a time.
pub struct Lease {
    stream: Arc<Stream>,
    shared: Arc<Shared>,
    workspace: WorkspaceId,
    number: u64,
}

impl Lease {
    pub(super) fn new(
        stream: Arc<Stream>,
        shared: Arc<Shared>,
        workspace: WorkspaceId,
        number: u64,
    ) -> Self {
        Self {
            stream,
            shared,
            workspace,
            number,
        }
    }

    /// Waits until the right is lost; for ever, if it is not.
    pub async fn revoked(&self) {
        poll_fn(|cx| self.poll_revoked(cx)).await;
    }

    /// As [`revoked`](Self::revoked), for futures written by hand.
    pub fn poll_revoked(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_revoked() {
            return Poll::Ready(());
        }
        self.stream.waker.register(cx.waker());
        match self.is_revoked() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Whether the right is lost.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.stream.is_revoked.load(Ordering::SeqCst)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.forget(&self.workspace, self.number);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("workspace", &self.workspace)
            .field("is_revoked", &self.is_revoked())
            .finish_non_exhaustive()
    }
}
