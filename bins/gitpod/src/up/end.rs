//! The end, as others ask for it.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;
use crate::print;

/// Asked for by a first SIGINT or SIGTERM; a second one asks not to wait for anybody.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    first: CancellationToken,
    second: CancellationToken,
}

impl End {
    /// Follows signals. After the first one, requests and tunnels get as long as `drain`.
    pub(super) fn of_signals(drain: Duration) -> Result<Self, Failure> {
        let cannot =
            |why: std::io::Error| Failure::failed("cannot listen to signals").because(&why);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let end = Self::default();
        let asked = end.clone();
        tokio::spawn(async move {
            for token in [&asked.first, &asked.second] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                token.cancel();
                tokio::spawn(explain(drain, asked.second.clone()));
            }
        });
        Ok(end)
    }

    /// Waits until the end is asked for.
    pub(super) async fn asked(&self) {
        self.first.cancelled().await;
    }

    /// Whether it has been.
    pub(super) fn is_asked(&self) -> bool {
        self.first.is_cancelled()
    }

    /// Waits until it is asked for once more.
    pub(super) async fn asked_again(&self) {
        self.second.cancelled().await;
    }
}

/// Whoever waits hears for what, unless it is over at once.
async fn explain(drain: Duration, second: CancellationToken) {
    tokio::time::sleep(NOT_WORTH_A_WORD).await;
    if drain > NOT_WORTH_A_WORD && !second.is_cancelled() {
        print::note(&format!(
            "open connections have {drain:?} to end; a second Ctrl-C ends them now"
        ));
    }
}

const NOT_WORTH_A_WORD: Duration = Duration::from_millis(500);
