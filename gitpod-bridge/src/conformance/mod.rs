//! Whether a store keeps what [`InstanceStore`], [`WorkspaceStore`] and [`Outbox`] promise.
//!
//! ```
//! use gitpod_bridge::{MemoryStore, conformance};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! conformance::check(async || MemoryStore::new()).await?;
//! # Ok::<(), conformance::Broken>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod commit;
mod history;
mod outbox;
mod workspace;

use std::future::Future;
use std::sync::Arc;

pub use self::history::{Shuffle, history};

use crate::publish::Message;
use crate::store::{InstanceStore, Outbox, StoreError, WorkspaceStore};

/// All that is asked of a store.
pub trait Store: InstanceStore + WorkspaceStore + Outbox {}

impl<S: InstanceStore + WorkspaceStore + Outbox> Store for S {}

/// Checks the store that `open` makes: an empty one for each call.
///
/// Run it on a runtime with several threads too: some promises only show there.
///
/// # Errors
///
/// [`Broken`] names the first promise that the store does not keep.
pub async fn check<S, F>(open: impl Fn() -> F) -> Result<(), Broken>
where
    S: Store,
    F: Future<Output = S>,
{
    workspace::rows_of_workspaces_are_kept(&open().await).await?;
    workspace::workspace_can_be_defined_anew(&open().await).await?;
    workspace::one_instance_runs_at_a_time(&open().await).await?;
    workspace::newest_instance_is_the_latest(&open().await).await?;
    workspace::deleted_workspace_leaves_nothing(&open().await).await?;
    commit::change_and_announcements_come_together(&open().await).await?;
    commit::life_events_are_told_once(&open().await).await?;
    commit::unknown_instance_is_not_made(&open().await).await?;
    commit::every_column_is_read_back(&open().await).await?;
    commit::row_is_locked_from_reading_to_commit(Arc::new(open().await)).await?;
    commit::shuffled_histories_end_in_the_newest_status(Arc::new(open().await)).await?;
    commit::dropped_transaction_leaves_all_or_nothing(&open().await).await?;
    outbox::entries_are_never_merged(&open().await).await?;
    outbox::taken_entry_is_kept_from_others(&open().await).await?;
    outbox::entry_given_back_waits(&open().await).await?;
    outbox::append_is_notified(&open().await).await
}

/// A promise that a store does not keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// It did something else.
    #[error("{promise}: {got}")]
    Promise {
        /// What it should do.
        promise: &'static str,
        /// What it did.
        got: String,
    },
    /// It failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Fails with `promise` unless `kept`.
fn ensure(promise: &'static str, kept: bool, got: impl std::fmt::Debug) -> Result<(), Broken> {
    if kept {
        return Ok(());
    }
    let got = format!("{got:?}");
    Err(Broken::Promise { promise, got })
}

/// All entries that are due, taken and removed.
async fn drain(outbox: &impl Outbox) -> Result<Vec<Message>, StoreError> {
    let mut messages = Vec::new();
    loop {
        let taken = outbox.take(100, std::time::Duration::from_secs(60)).await?;
        if taken.is_empty() {
            return Ok(messages);
        }
        let ids: Vec<_> = taken.iter().map(|entry| entry.id).collect();
        outbox.remove(&ids).await?;
        messages.extend(taken.into_iter().map(|entry| entry.message));
    }
}
