//! Ends what belongs to one connection, from anywhere.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use tokio::sync::watch;

/// Ends a connection in two steps: first what goes on in it, then itself.
///
/// A server that is blocked, because it waits for a channel or for the network, is
/// reached by neither a message nor a dropped handle; a broken stream reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    over: watch::Sender<bool>,
    cut: Mutex<Cut>,
}

#[derive(Debug, Default)]
struct Cut {
    done: bool,
    wakers: Vec<Waker>,
}

impl Switch {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::new(State {
                over: watch::Sender::new(false),
                cut: Mutex::default(),
            }),
        }
    }

    /// Channels end now.
    pub(crate) fn end_channels(&self) {
        self.state.over.send_replace(true);
    }

    /// The stream breaks now, and channels end.
    pub(crate) fn cut(&self) {
        self.end_channels();
        let wakers = {
            let mut cut = self.lock();
            cut.done = true;
            std::mem::take(&mut cut.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Runs `work` until channels are to end.
    pub(crate) async fn until_over(&self, work: impl Future<Output = ()>) {
        let mut over = self.state.over.subscribe();
        tokio::select! {
            () = work => {}
            _ = over.wait_for(|over| *over) => {}
        }
    }

    /// Whether the stream is broken. If not, `waker` is called when it is.
    pub(crate) fn is_cut_or_wakes(&self, waker: &Waker) -> bool {
        let mut cut = self.lock();
        if !cut.done && !cut.wakers.iter().any(|known| known.will_wake(waker)) {
            // Only the reading and the writing half ever wait.
            cut.wakers.truncate(3);
            cut.wakers.push(waker.clone());
        }
        cut.done
    }

    fn lock(&self) -> MutexGuard<'_, Cut> {
        let cut = self.state.cut.lock();
        cut.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
