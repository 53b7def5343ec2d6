//! Shares that outlive `up`, in a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gitpod_lifecycle::process::Reserve;
use gitpod_routing::{
    Changes, MemoryShares, Share, ShareId, ShareScope, ShareStore, ShareStoreError, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::exit::Failure;
use crate::private_file;

/// A [`MemoryShares`] that is written down with each change, whole.
///
/// The file holds no secret: a link needs a signature, too.
#[derive(Debug)]
pub(super) struct FileShares {
    file: PathBuf,
    shares: MemoryShares,
    /// All that are known, in the order they were made. Held while the file is written.
    kept: Arc<Mutex<Vec<Kept>>>,
    /// Those that have ended and may still be in the file. They open nothing.
    unwritten: Arc<StdMutex<Vec<Share>>>,
    /// Room for writing that one has ended.
    reserve: Option<Reserve>,
}

/// A share as it is written down.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Kept {
    id: String,
    workspace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    created_at: u64,
    expires_at: u64,
}

impl FileShares {
    /// With what was kept in `file`.
    pub(super) async fn open(file: PathBuf) -> Result<Self, Failure> {
        let text = private_file::read(&file)?.unwrap_or_else(|| "[]".to_owned());
        let kept: Vec<Kept> = serde_json::from_str(&text).map_err(|why| {
            Failure::failed(format!("cannot read the shares in {}", file.display()))
                .because(&why)
                .fix("mend the file, or remove it: then nothing is shared any more")
        })?;
        let now = SystemTime::now();
        let shares = MemoryShares::new();
        let standing = |kept: &Kept| kept.share().filter(|share| share.is_valid_at(now));
        let kept: Vec<Kept> = kept
            .into_iter()
            .filter(|kept| standing(kept).is_some())
            .collect();
        for share in kept.iter().filter_map(Kept::share) {
            let added = shares.add(share).await;
            added.map_err(|why| Failure::failed("cannot remember shares").because(&why))?;
        }
        Ok(Self {
            file,
            shares,
            kept: Arc::new(Mutex::new(kept)),
            unwritten: Arc::default(),
            reserve: None,
        })
    }

    /// On a full disk, that a share has ended finds its room in `reserve`.
    #[must_use]
    pub(super) fn with_reserve(self, reserve: Reserve) -> Self {
        Self {
            reserve: Some(reserve),
            ..self
        }
    }

    /// Forgets what somebody else has taken out of the file, and learns what is new in it.
    pub(super) async fn read_again(&self) -> Result<(), ShareStoreError> {
        let mut kept = self.kept.lock().await;
        let text = private_file::read(&self.file)
            .map_err(|why| ShareStoreError::new(io::Error::other(why.to_string())))?;
        let mut now: Vec<Kept> =
            serde_json::from_str(text.as_deref().unwrap_or("[]")).map_err(ShareStoreError::new)?;
        now.retain(|share| !lock(&self.unwritten).iter().any(|gone| share.is_of(gone)));
        if now == *kept {
            return Ok(());
        }
        for gone in kept.iter().filter(|share| !now.contains(share)) {
            if let Ok(id) = gone.id.parse() {
                self.shares.remove(id).await?;
            }
        }
        for share in now.iter().filter(|share| !kept.contains(share)) {
            if let Some(share) = share.share() {
                self.shares.add(share).await?;
            }
        }
        *kept = now;
        Ok(())
    }

    /// Those that have ended are not in the file any more.
    fn write(&self, kept: &[Kept]) -> io::Result<()> {
        write(&self.file, kept)?;
        lock(&self.unwritten).clear();
        Ok(())
    }

    /// Writes without what has ended until that works, or until there is no such thing.
    fn write_later(&self, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (file, kept) = (self.file.clone(), Arc::clone(&self.kept));
        let unwritten = Arc::downgrade(&self.unwritten);
        async move {
            loop {
                tokio::time::sleep(every).await;
                let _writing = kept.lock().await;
                let Some(unwritten) = unwritten.upgrade() else {
                    return;
                };
                let mut unwritten = lock(&unwritten);
                if unwritten.is_empty() || write_without(&file, &unwritten).is_ok() {
                    unwritten.clear();
                    return;
                }
            }
        }
    }
}

/// How long it takes until a disk may work again.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

fn write(file: &Path, kept: &[Kept]) -> io::Result<()> {
    private_file::replace(file, &serde_json::to_string(kept)?)
}

/// Takes `ended` out of the file, in which another process may have written meanwhile.
fn write_without(file: &Path, ended: &[Share]) -> io::Result<()> {
    let text = private_file::read(file).map_err(|why| io::Error::other(why.to_string()))?;
    let mut kept: Vec<Kept> = serde_json::from_str(text.as_deref().unwrap_or("[]"))?;
    kept.retain(|kept| !ended.iter().any(|share| kept.is_of(share)));
    write(file, &kept)
}

fn lock(shares: &StdMutex<Vec<Share>>) -> MutexGuard<'_, Vec<Share>> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ShareStore for FileShares {
    async fn add(&self, share: Share) -> Result<(), ShareStoreError> {
        let mut kept = self.kept.lock().await;
        let now = seconds(SystemTime::now());
        let mut next: Vec<Kept> = kept
            .iter()
            .filter(|kept| now < kept.expires_at)
            .cloned()
            .collect();
        next.push(Kept::of(&share));
        self.write(&next).map_err(ShareStoreError::new)?;
        *kept = next;
        self.shares.add(share).await
    }

    /// One that has ended and could not be written down is found as expired, so that it
    /// can be removed again.
    async fn find(&self, id: ShareId) -> Result<Option<Share>, ShareStoreError> {
        let standing = self.shares.find(id).await?;
        Ok(standing.or_else(|| {
            let unwritten = lock(&self.unwritten);
            unwritten.iter().find(|share| share.id == id).cloned()
        }))
    }

    async fn of_workspace(&self, workspace: &WorkspaceId) -> Result<Vec<Share>, ShareStoreError> {
        let mut shares = self.shares.of_workspace(workspace).await?;
        let unwritten = lock(&self.unwritten);
        let of_it = unwritten.iter().filter(|it| it.workspace == *workspace);
        shares.extend(of_it.cloned());
        Ok(shares)
    }

    /// It opens nothing any more in any case; an error says that it may again after a
    /// restart. What could not be written is tried again by itself, and whenever it is
    /// removed again.
    async fn remove(&self, id: ShareId) -> Result<(), ShareStoreError> {
        let mut kept = self.kept.lock().await;
        let standing = self.shares.find(id).await?;
        self.shares.remove(id).await?;
        kept.retain(|kept| kept.id != id.to_string());
        let is_first = {
            let mut unwritten = lock(&self.unwritten);
            let is_first = unwritten.is_empty();
            unwritten.extend(standing.map(|mut share| {
                share.expires_at = SystemTime::UNIX_EPOCH;
                share
            }));
            is_first
        };
        let written = match &self.reserve {
            Some(reserve) => reserve.make_room_for(|| self.write(&kept)),
            None => self.write(&kept),
        };
        if written.is_err() && is_first {
            tokio::spawn(self.write_later(WRITE_AGAIN));
        }
        written.map_err(ShareStoreError::new)
    }

    fn changes(&self) -> Option<Changes> {
        self.shares.changes()
    }
}

impl Kept {
    fn of(share: &Share) -> Self {
        Self {
            id: share.id.to_string(),
            workspace: share.workspace.to_string(),
            port: match share.scope {
                ShareScope::Port(port) => Some(port),
                _ => None,
            },
            created_at: seconds(share.created_at),
            expires_at: seconds(share.expires_at),
        }
    }

    fn is_of(&self, share: &Share) -> bool {
        self.id == share.id.to_string()
    }

    fn share(&self) -> Option<Share> {
        let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let share = Share::new(
            self.id.parse().ok()?,
            self.workspace.parse().ok()?,
            at(self.created_at)?,
            at(self.expires_at)?,
        );
        Some(match self.port {
            Some(port) => share.with_scope(ShareScope::Port(port)),
            None => share,
        })
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(number: u128, lasts: u64) -> Share {
        let id = "pink-panda-ns35kd21".parse().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(SystemTime::now()));
        let until = now + Duration::from_secs(lasts);
        Share::new(ShareId::from_u128(number), id, now, until).with_scope(ShareScope::Port(3000))
    }

    #[tokio::test]
    async fn shares_outlive_the_process_and_their_end_does_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shares.json");
        let first = FileShares::open(path.clone()).await.unwrap();
        for number in [1, 2] {
            first.add(share(number, 60)).await.unwrap();
        }
        first.add(share(3, 0)).await.unwrap();
        first.remove(ShareId::from_u128(2)).await.unwrap();

        let second = FileShares::open(path).await.unwrap();
        let found = second.find(ShareId::from_u128(1)).await.unwrap();
        assert_eq!(found, Some(share(1, 60)));
        for gone in [2, 3] {
            assert_eq!(second.find(ShareId::from_u128(gone)).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn who_reads_the_file_again_knows_what_others_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shares.json");
        let before = FileShares::open(path.clone()).await.unwrap();
        before.add(share(1, 60)).await.unwrap();
        let after = FileShares::open(path).await.unwrap();
        after.add(share(2, 60)).await.unwrap();
        after.remove(ShareId::from_u128(1)).await.unwrap();
        before.read_again().await.unwrap();
        let found = async |number| before.find(ShareId::from_u128(number)).await.unwrap();
        assert_eq!((found(1).await, found(2).await), (None, Some(share(2, 60))));
    }

    #[tokio::test]
    async fn share_that_cannot_be_written_down_does_not_stand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shares.json");
        let shares = FileShares::open(path).await.unwrap();
        std::fs::create_dir(dir.path().join("shares.new")).unwrap(); // in the way
        assert!(shares.add(share(1, 60)).await.is_err());
        assert_eq!(shares.find(ShareId::from_u128(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn end_that_cannot_be_written_down_is_written_by_the_next_try_or_later_by_itself() {
        for by_itself in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("shares.json");
            let shares = FileShares::open(path.clone()).await.unwrap();
            let (id, workspace) = (ShareId::from_u128(1), share(1, 60).workspace);
            shares.add(share(1, 60)).await.unwrap();
            let in_the_way = dir.path().join("shares.new");
            std::fs::create_dir(&in_the_way).unwrap();
            for _ in 0..2 {
                assert!(shares.remove(id).await.is_err());
                let found = shares.find(id).await.unwrap().unwrap();
                assert!(!found.is_valid_at(SystemTime::now()), "it opens nothing");
                let listed = shares.of_workspace(&workspace).await.unwrap();
                assert_eq!(listed, [found], "else nobody could remove it again");
            }
            std::fs::remove_dir(in_the_way).unwrap();
            match by_itself {
                true => shares.write_later(Duration::ZERO).await,
                false => shares.remove(id).await.unwrap(),
            }
            assert_eq!(shares.find(id).await.unwrap(), None);
            let again = FileShares::open(path).await.unwrap();
            assert_eq!(again.find(id).await.unwrap(), None);
        }
    }
}
