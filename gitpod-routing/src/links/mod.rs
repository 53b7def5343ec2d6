//! Links that let people in: the owner once, visitors of a share until it ends.

mod cookie;
mod key;
mod path;
mod store;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::key::SigningKey;
pub use self::path::{LocalPath, LocalPathError};
pub use self::store::{MemoryShares, MemoryUsedLinks, ShareStore, ShareStoreError, Use, UsedLinks};

pub(crate) use self::cookie::{Handover, share_cookies};
use self::key::{KeyRing, random_bytes};
use self::token::{Claims, Purpose};
use crate::host::{HostTarget, PublicUrl};
use crate::id::WorkspaceId;
use crate::info::BoxError;
use crate::share::{Share, ShareId, ShareScope};

/// Makes links that let people in, and revokes them. The stage
/// [`SignIn`](crate::layers::SignIn) is where they lead.
///
/// Clones are one and the same: give one to
/// `WorkspaceProxy::with_links` and keep another to make links with.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use gitpod_routing::{HostPattern, HostTarget, Links, LocalPath, NewShare, PublicUrl, Scheme, ShareScope, SigningKey, WorkspaceId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (pattern, now) = (HostPattern::new("ws.example.com")?, SystemTime::now());
/// let links = Links::new(SigningKey::random()?, PublicUrl::new(Scheme::Https, pattern));
/// let id: WorkspaceId = "pink-panda-ns35kd21".parse()?;
///
/// // For the owner: good for one minute and one use.
/// let link = links.open(&HostTarget::port(id.clone(), 3000), &LocalPath::root(), now)?;
/// assert!(link.expose().starts_with("https://3000-pink-panda-ns35kd21.ws.example.com/.gitpod/open?"));
///
/// // For whoever gets it: good until it expires or is revoked.
/// let wish = NewShare::new(id.clone(), Duration::from_secs(7200)).of(ShareScope::Port(3000));
/// let (share, url) = links.share(wish, now).await?;
/// assert_eq!(links.shares(&id, now).await?, [share.clone()]);
/// assert!(links.revoke(&id, share.id).await?); // cuts the streams of its visitors
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Links(Arc<Shared>);

struct Shared {
    keys: KeyRing,
    urls: PublicUrl,
    shares: Arc<dyn ShareStore>,
    used: Arc<dyn UsedLinks>,
}

impl Links {
    /// Links at `urls`, signed with `key`; shares and used links are kept in memory.
    #[must_use]
    pub fn new(key: SigningKey, urls: PublicUrl) -> Self {
        Self(Arc::new(Shared {
            keys: KeyRing::new(key, None),
            urls,
            shares: Arc::new(MemoryShares::new()),
            used: Arc::new(MemoryUsedLinks::new()),
        }))
    }

    /// Also takes what `key`, the one before, has signed.
    #[must_use]
    pub fn with_previous_key(self, key: SigningKey) -> Self {
        let newest = self.0.keys.newest();
        self.changed(|shared| shared.keys = KeyRing::new(newest, Some(key)))
    }

    /// Keeps shares in `shares`.
    #[must_use]
    pub fn with_shares(self, shares: Arc<dyn ShareStore>) -> Self {
        self.changed(|shared| shared.shares = shares)
    }

    /// Keeps in `used` which links were used.
    #[must_use]
    pub fn with_used_links(self, used: Arc<dyn UsedLinks>) -> Self {
        self.changed(|shared| shared.used = used)
    }

    /// Signs with `key` from now on. What the key so far has signed still counts, until the
    /// next rotation. Clones see it.
    pub fn rotate(&self, key: SigningKey) {
        self.0.keys.rotate(key);
    }

    /// A link that makes its first visitor the owner of the workspace of `target`, in that
    /// browser, and leads to `path` there. It works once, within a minute.
    ///
    /// # Errors
    ///
    /// [`LinkError::NoRandomness`].
    pub fn open(
        &self,
        target: &HostTarget,
        path: &LocalPath,
        now: SystemTime,
    ) -> Result<SecretUrl, LinkError> {
        let claims = Claims {
            purpose: Purpose::Open,
            expires_at: now + OPEN_LIFETIME,
            number: number_at(now)?,
            target: target.clone(),
            path: path.clone(),
        };
        Ok(self.url(OPEN_PATH, &claims))
    }

    /// Shares what `wish` says, from `now` on. The URL can be had again from
    /// [`share_url`](Self::share_url).
    ///
    /// # Errors
    ///
    /// [`LinkError::NoRandomness`], or [`LinkError::Store`] if it was not remembered.
    pub async fn share(
        &self,
        wish: NewShare,
        now: SystemTime,
    ) -> Result<(Share, SecretUrl), LinkError> {
        let share = Share {
            id: ShareId::from_u128(u128::from_be_bytes(random_bytes()?)),
            workspace: wish.workspace,
            scope: wish.scope,
            created_at: now,
            expires_at: now + wish.lifetime.min(LONGEST_SHARE),
        };
        self.0.shares.add(share.clone()).await?;
        let url = self.share_url(&share);
        Ok((share, url))
    }

    /// The link of `share`. It works for everyone who has it, while the share stands.
    #[must_use]
    pub fn share_url(&self, share: &Share) -> SecretUrl {
        let target = match share.scope {
            ShareScope::Workspace => HostTarget::ide(share.workspace.clone()),
            ShareScope::Port(number) => HostTarget::port(share.workspace.clone(), number),
        };
        self.url(SHARE_PATH, &Claims::of_share(Purpose::Share, share, target))
    }

    /// The shares of `workspace` that stand at `now`, oldest first.
    ///
    /// # Errors
    ///
    /// [`LinkError::Store`].
    pub async fn shares(
        &self,
        workspace: &WorkspaceId,
        now: SystemTime,
    ) -> Result<Vec<Share>, LinkError> {
        let mut shares = self.0.shares.of_workspace(workspace).await?;
        shares.retain(|share| share.is_valid_at(now));
        Ok(shares)
    }

    /// Ends share `id` of `workspace`, and with it the open streams of its visitors. Tells
    /// whether there was one.
    ///
    /// # Errors
    ///
    /// [`LinkError::Store`] if it may still stand.
    pub async fn revoke(&self, workspace: &WorkspaceId, id: ShareId) -> Result<bool, LinkError> {
        match self.0.shares.find(id).await? {
            Some(share) if share.workspace == *workspace => {
                self.0.shares.remove(id).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Ends all shares of `workspace`. Tells how many there were, expired ones included.
    ///
    /// # Errors
    ///
    /// [`LinkError::Store`] if some may still stand.
    pub async fn revoke_all(&self, workspace: &WorkspaceId) -> Result<usize, LinkError> {
        let shares = self.0.shares.of_workspace(workspace).await?;
        for share in &shares {
            self.0.shares.remove(share.id).await?;
        }
        Ok(shares.len())
    }

    /// Where shares are kept.
    #[must_use]
    pub fn share_store(&self) -> &Arc<dyn ShareStore> {
        &self.0.shares
    }

    pub(crate) fn urls(&self) -> &PublicUrl {
        &self.0.urls
    }

    /// Uses the link to open `target` that carries `token`: where it leads to.
    pub(crate) async fn use_open(
        &self,
        token: &[u8],
        target: &HostTarget,
        now: SystemTime,
    ) -> Result<LocalPath, LinkError> {
        let claims = self.verified(token, Purpose::Open, target, now)?;
        if made_at(claims.number) < self.0.used.complete_since() {
            return Err(LinkError::Expired); // nobody knows whether it was used
        }
        match self.0.used.use_up(claims.number, claims.expires_at).await? {
            Use::First => Ok(claims.path),
            Use::Again => Err(LinkError::Used),
        }
    }

    /// The share whose link carries `token`, and the token for a cookie of its visitor.
    pub(crate) async fn visit(
        &self,
        token: &[u8],
        target: &HostTarget,
        now: SystemTime,
    ) -> Result<(Share, String), LinkError> {
        let claims = self.verified(token, Purpose::Share, target, now)?;
        let share = self.standing(claims.number, target, now).await?;
        let visit = Claims::of_share(Purpose::Visit, &share, target.clone());
        Ok((share, visit.sign(&self.0.keys)))
    }

    /// The share that a visitor of `target` shows in a cookie.
    pub(crate) async fn visited(
        &self,
        token: &[u8],
        target: &HostTarget,
        now: SystemTime,
    ) -> Result<Share, LinkError> {
        let claims = Claims::verify(token, Purpose::Visit, &self.0.keys, now)?;
        // A visitor of the whole workspace shows it at all of its hosts.
        self.standing(claims.number, target, now).await
    }

    fn verified(
        &self,
        token: &[u8],
        purpose: Purpose,
        target: &HostTarget,
        now: SystemTime,
    ) -> Result<Claims, LinkError> {
        let claims = Claims::verify(token, purpose, &self.0.keys, now)?;
        match claims.target == *target {
            true => Ok(claims),
            false => Err(LinkError::Invalid), // carried to another host
        }
    }

    async fn standing(
        &self,
        number: u128,
        target: &HostTarget,
        now: SystemTime,
    ) -> Result<Share, LinkError> {
        let share = self.0.shares.find(ShareId::from_u128(number)).await?;
        share
            .filter(|share| share.is_valid_at(now) && share.covers(target))
            .ok_or(LinkError::Revoked)
    }

    fn url(&self, path: &str, claims: &Claims) -> SecretUrl {
        let origin = self.0.urls.origin(&claims.target);
        let token = claims.sign(&self.0.keys);
        SecretUrl(format!("{origin}{path}?{token}"))
    }

    fn changed(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Shared {
            keys: self.0.keys.duplicate(),
            urls: self.0.urls.clone(),
            shares: Arc::clone(&self.0.shares),
            used: Arc::clone(&self.0.used),
        };
        change(&mut shared);
        Self(Arc::new(shared))
    }
}

/// The number of a link that is made at `now`: nanoseconds, then random bits.
fn number_at(now: SystemTime) -> Result<u128, LinkError> {
    let random = u128::from(u64::from_be_bytes(random_bytes()?));
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
    Ok(since_epoch.map_or(0, |since| since.as_nanos()) << 64 | random)
}

/// When the link of `number` was made.
fn made_at(number: u128) -> SystemTime {
    let since_epoch = Duration::from_nanos(u64::try_from(number >> 64).unwrap_or(u64::MAX));
    SystemTime::UNIX_EPOCH + since_epoch
}

impl Claims {
    fn of_share(purpose: Purpose, share: &Share, target: HostTarget) -> Self {
        Self {
            purpose,
            expires_at: share.expires_at,
            number: share.id.as_u128(),
            target,
            path: LocalPath::root(),
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("urls", &self.0.urls)
            .field("shares", &self.0.shares)
            .finish_non_exhaustive()
    }
}

/// What to share. See [`Links::share`].
#[derive(Clone, Debug)]
pub struct NewShare {
    workspace: WorkspaceId,
    scope: ShareScope,
    lifetime: Duration,
}

impl NewShare {
    /// All of `workspace`, for `lifetime`; at most for a year.
    #[must_use]
    pub fn new(workspace: WorkspaceId, lifetime: Duration) -> Self {
        Self {
            workspace,
            scope: ShareScope::Workspace,
            lifetime,
        }
    }

    /// Only `scope` of it.
    #[must_use]
    pub fn of(mut self, scope: ShareScope) -> Self {
        self.scope = scope;
        self
    }
}

/// A URL that lets whoever has it in. Prints as `***`.
#[derive(Clone, Eq, PartialEq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The URL itself. For handing it to whom it is for, never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a link does not let in, or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It was not made here, for this host, and for this use.
    #[error("link is not valid here")]
    Invalid,
    /// Its time is over.
    #[error("link has expired")]
    Expired,
    /// It works once, and was used.
    #[error("link was used before")]
    Used,
    /// The share behind it was revoked, or its time is over.
    #[error("share was revoked or has expired")]
    Revoked,
    /// Whether it lets in could not be found out.
    #[error("links cannot be checked now")]
    Store(#[source] ShareStoreError),
    /// The system gave no random bytes.
    #[error("system gave no random bytes")]
    NoRandomness(#[source] BoxError),
}

impl From<ShareStoreError> for LinkError {
    fn from(why: ShareStoreError) -> Self {
        Self::Store(why)
    }
}

/// Paths that workspaces do not get to see: `open` once, `share` as often as one likes.
pub(crate) const OPEN_PATH: &str = "/.gitpod/open";
pub(crate) const SHARE_PATH: &str = "/.gitpod/share";

/// Chosen by us: long enough for a browser to start, too short for a link in a log.
const OPEN_LIFETIME: Duration = Duration::from_secs(60);

/// Chosen by us: what browsers keep a cookie for, and an end to forgotten shares.
const LONGEST_SHARE: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests;
