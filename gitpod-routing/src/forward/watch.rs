//! What goes on only while it is allowed.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use crate::cut::Cut;
use crate::forward::exchange::InFlight;
use crate::forward::usage::Usage;
use crate::revocation::Lease;

/// Watches over a body once it takes long enough to matter, and reports that it is used.
///
/// Most bodies are there at once and end before anybody could take back that they may be
/// had, so they are not written down anywhere.
pub(crate) struct Watch {
    state: State,
    counts: Counts,
}

enum State {
    /// Goes well so far. Counts down the frames that came without waiting.
    Short(Arc<InFlight>, u8),
    Long(Box<(Option<Lease>, Option<Usage>)>),
}

/// Whether bytes of a body mean that somebody uses the workspace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Counts {
    AsUse,
    /// It could be events, which come by themselves.
    Not,
}

impl Watch {
    pub(crate) fn of(flight: &Arc<InFlight>, counts: Counts) -> Option<Self> {
        if flight.shared.revocation.is_none() && flight.permit.activity().is_none() {
            return None;
        }
        let state = State::Short(Arc::clone(flight), SHORT);
        Some(Self { state, counts })
    }

    /// Whether the body has to end now; if not, the task is woken when it has to.
    pub(crate) fn poll_ends(&mut self, cx: &mut Context<'_>, is_waiting: bool) -> bool {
        if let State::Short(flight, frames) = &mut self.state {
            *frames = frames.saturating_sub(1);
            if !is_waiting && *frames > 0 {
                return false;
            }
            let permit = &flight.permit;
            let all = flight.shared.revocation.as_ref();
            let lease = all.map(|all| all.watch(permit));
            let usage = Usage::of(permit).filter(|_| self.counts == Counts::AsUse);
            self.state = State::Long(Box::new((lease, usage)));
        }
        let State::Long(both) = &mut self.state else {
            return false;
        };
        let (lease, usage) = &mut **both;
        if is_waiting {
            let lease = lease.as_ref();
            return lease.is_some_and(|lease| lease.poll_revoked(cx).is_ready());
        }
        if let Some(usage) = usage {
            usage.note();
        }
        lease.as_ref().is_some_and(Lease::is_revoked)
    }
}

/// What `answer` comes to; `None` if that takes long, and the right to it is lost meanwhile.
///
/// Most answers come before `at_once` has ended, so that nothing is written down of them either.
pub(crate) async fn while_allowed<T>(
    flight: &InFlight,
    at_once: impl Future<Output = ()>,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    let Some(all) = &flight.shared.revocation else {
        return Some(answer.await);
    };
    tokio::select! {
        biased;
        answer = &mut answer => return Some(answer),
        () = at_once => {}
    }
    let lease = all.watch(&flight.permit);
    tokio::select! {
        biased;
        answer = answer => Some(answer),
        () = lease.revoked() => None,
    }
}

/// Ends a body of `length` whose client takes nothing of it once it is no longer allowed. What is short is as good as
/// with its client.
pub(crate) fn cut(flight: &Arc<InFlight>, length: Option<u64>) -> Option<Cut> {
    let all = flight.shared.revocation.as_ref();
    let all = all.filter(|_| length.is_none_or(|length| length > SHORT_LENGTH))?;
    let (all, flight) = (all.clone(), Arc::clone(flight));
    Some(Cut::when(async move {
        let lease = all.watch(&flight.permit);
        lease.revoked().await;
    }))
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

/// How long an answer may take that nobody watches over: half of the second within which it
/// has to end.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(500);

/// Frames of a body that nobody watches over: 64 KiB or so.
const SHORT: u8 = 8;
/// The same in bytes.
const SHORT_LENGTH: u64 = 64 * 1024;
