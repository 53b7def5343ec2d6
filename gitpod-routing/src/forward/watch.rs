//! What goes on only while it is allowed.

use std::future::pending;
use std::task::Context;

use crate::forward::Shared;
use crate::revocation::{Lease, Revocation};
use crate::stage::Permit;

/// Watches over a body once it takes long enough to matter.
///
/// Most bodies are there at once and end before anybody could take back that they may be
/// had, so they are not written down anywhere.
pub(crate) struct Watch(State);

enum State {
    /// Goes well so far. Counts down the frames that came without waiting.
    Short(Box<(Revocation, Permit)>, u8),
    Long(Lease),
}

impl Watch {
    pub(crate) fn of(shared: &Shared, permit: &Permit) -> Option<Self> {
        let all = shared.revocation.as_ref()?;
        let both = Box::new((all.clone(), permit.clone()));
        Some(Self(State::Short(both, SHORT)))
    }

    /// Whether the body has to end now; if not, the task is woken when it has to.
    pub(crate) fn poll_ends(&mut self, cx: &mut Context<'_>, is_waiting: bool) -> bool {
        if let State::Short(both, frames) = &mut self.0 {
            *frames = frames.saturating_sub(1);
            if !is_waiting && *frames > 0 {
                return false;
            }
            let lease = both.0.watch(&both.1);
            self.0 = State::Long(lease);
        }
        match &self.0 {
            State::Long(lease) if is_waiting => lease.poll_revoked(cx).is_ready(),
            State::Long(lease) => lease.is_revoked(),
            State::Short(..) => false,
        }
    }
}

/// Waits until the right behind `lease` is lost; for ever if nobody watches over it.
pub(crate) async fn revoked(lease: Option<&Lease>) {
    match lease {
        Some(lease) => lease.revoked().await,
        None => pending().await,
    }
}

/// The body was cut because it may no longer be had.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no longer allowed")]
pub(crate) struct NoLongerAllowed;

/// Frames of a body that nobody watches over: 64 KiB or so.
const SHORT: u8 = 8;
