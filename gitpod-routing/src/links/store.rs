//! What is remembered of links: which shares stand, and which links were used.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;

use crate::change::{ChangeSignal, Changes};
use crate::id::WorkspaceId;
use crate::info::BoxError;
use crate::share::{Share, ShareId};

/// Remembers which shares stand.
///
/// [`find`](Self::find) is called for each request that shows a share cookie, and every
/// half second for shares whose visitors have streams open; the others when an owner
/// shares, lists or revokes. [`MemoryShares`] forgets everything when the process ends.
///
/// # Contract
///
/// - A share that was added and not removed is found, as it was added. One that is not
///   found opens nothing, however well its link is signed: forgetting is revoking.
/// - `Ok(None)`: it is *certain* that there is no such share. Streams of its visitors end.
/// - `Err(_)`: not known. The visitor is refused with 503; open streams go on.
/// - A removal is seen by every `find` that begins after it has returned, by those of
///   other processes within a second.
/// - Shares that have expired may be removed at any time.
///
/// Futures may be dropped at any await point; what they had begun happens or does not.
///
/// # Source
///
/// Chosen by us: the reference shares a workspace with everyone or with nobody.
#[async_trait]
pub trait ShareStore: fmt::Debug + Send + Sync + 'static {
    /// Remembers `share`. A share of the same id, if there is one, is replaced.
    ///
    /// # Errors
    ///
    /// [`ShareStoreError`] if it may not have been remembered.
    async fn add(&self, share: Share) -> Result<(), ShareStoreError>;

    /// The share called `id`.
    ///
    /// # Errors
    ///
    /// [`ShareStoreError`] when the question cannot be answered.
    async fn find(&self, id: ShareId) -> Result<Option<Share>, ShareStoreError>;

    /// The shares of `workspace`, oldest first.
    ///
    /// # Errors
    ///
    /// [`ShareStoreError`] when the question cannot be answered.
    async fn of_workspace(&self, workspace: &WorkspaceId) -> Result<Vec<Share>, ShareStoreError>;

    /// Forgets the share called `id`; if there is none, that is well.
    ///
    /// # Errors
    ///
    /// [`ShareStoreError`] if it may still be remembered.
    async fn remove(&self, id: ShareId) -> Result<(), ShareStoreError>;

    /// Tells when something was removed. With the default, `None`, the store is asked
    /// again every half second about shares whose visitors have streams open.
    fn changes(&self) -> Option<Changes> {
        None
    }
}

/// The store of shares did not answer, or answered with an error.
#[derive(Debug, thiserror::Error)]
#[error("store of shares did not answer")]
#[non_exhaustive]
pub struct ShareStoreError(#[source] pub BoxError);

impl ShareStoreError {
    /// It failed because of `why`.
    #[must_use]
    pub fn new(why: impl Into<BoxError>) -> Self {
        Self(why.into())
    }
}

/// A [`ShareStore`] in memory. Clones share everything.
#[derive(Clone, Debug, Default)]
pub struct MemoryShares(Arc<Shares>);

#[derive(Debug, Default)]
struct Shares {
    shares: Mutex<HashMap<ShareId, Share>>,
    removed: ChangeSignal,
}

impl MemoryShares {
    /// With no shares.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShareId, Share>> {
        // Nothing in the table is half done when a thread panics.
        let shares = self.0.shares.lock();
        shares.unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ShareStore for MemoryShares {
    async fn add(&self, share: Share) -> Result<(), ShareStoreError> {
        self.lock().insert(share.id, share);
        Ok(())
    }

    async fn find(&self, id: ShareId) -> Result<Option<Share>, ShareStoreError> {
        Ok(self.lock().get(&id).cloned())
    }

    async fn of_workspace(&self, workspace: &WorkspaceId) -> Result<Vec<Share>, ShareStoreError> {
        let shares = self.lock();
        let of_it = shares
            .values()
            .filter(|share| share.workspace == *workspace);
        let mut found: Vec<Share> = of_it.cloned().collect();
        found.sort_by_key(|share| (share.created_at, share.id));
        Ok(found)
    }

    async fn remove(&self, id: ShareId) -> Result<(), ShareStoreError> {
        self.lock().remove(&id);
        self.0.removed.send();
        Ok(())
    }

    fn changes(&self) -> Option<Changes> {
        Some(self.0.removed.subscribe())
    }
}

/// Remembers which one-time links were used.
///
/// Called once for each link that is right and has not expired, so nobody can fill it. A
/// link lives for a minute at most. Proxies that serve the same hosts need a common one;
/// [`MemoryUsedLinks`] is for a single process.
///
/// # Contract
///
/// - Of all calls with one `number`, in whatever process, exactly one is told
///   [`Use::First`]. Until `expires_at` all others are told [`Use::Again`].
/// - `Err(_)`: not known. The link is refused with 503, and may be used up.
/// - Whoever forgets says so with [`complete_since`](Self::complete_since): links from before
///   are refused as expired, since they may have been used.
///
/// # Source
///
/// Chosen by us.
#[async_trait]
pub trait UsedLinks: fmt::Debug + Send + Sync + 'static {
    /// Every use of links that were made since then is remembered. With the default, of all.
    fn complete_since(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    /// Uses the link called `number`, which nobody can use after `expires_at`.
    ///
    /// # Errors
    ///
    /// [`ShareStoreError`] when the question cannot be answered.
    async fn use_up(&self, number: u128, expires_at: SystemTime) -> Result<Use, ShareStoreError>;
}

/// Whether a one-time link was used before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Use {
    /// It was not.
    First,
    /// It was.
    Again,
}

/// A [`UsedLinks`] in memory, for links that are made from now on. Clones share everything.
#[derive(Clone, Debug)]
pub struct MemoryUsedLinks {
    used: Arc<Mutex<HashMap<u128, SystemTime>>>,
    since: SystemTime,
}

impl Default for MemoryUsedLinks {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryUsedLinks {
    /// With no link used.
    #[must_use]
    pub fn new() -> Self {
        Self {
            used: Arc::default(),
            since: SystemTime::now(),
        }
    }
}

#[async_trait]
impl UsedLinks for MemoryUsedLinks {
    fn complete_since(&self) -> SystemTime {
        self.since
    }

    async fn use_up(&self, number: u128, expires_at: SystemTime) -> Result<Use, ShareStoreError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // One that has expired is refused before it comes here.
        used.retain(|_, until| now < *until);
        Ok(match used.insert(number, expires_at) {
            None => Use::First,
            Some(_) => Use::Again,
        })
    }
}
