//! A network's state in one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::store::{Item, NetworkStore, Records, StoreError, Write, after, begin_with};

/// A [`NetworkStore`] in one JSON file, written anew and synchronised at each commit.
///
/// For networks of some thousand hosts with one server: it must be the only one that
/// has the file open. The file tells who may join, and is for its owner only (mode
/// 0600). Cloning shares it.
#[derive(Clone, Debug)]
pub struct FileStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    records: Mutex<Records>,
}

impl FileStore {
    /// The file at `path`; empty, if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if it cannot be read, or is not such a file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let records = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(unavailable)?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => Records::new(),
            Err(why) => return Err(unavailable(why)),
        };
        Ok(Self(Arc::new(Inner {
            path,
            records: Mutex::new(records),
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Records) -> T) -> T {
        look(
            &mut self
                .0
                .records
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

fn unavailable(why: impl Into<crate::BoxError>) -> StoreError {
    StoreError::Unavailable(why.into())
}

#[async_trait]
impl NetworkStore for FileStore {
    async fn get(&self, key: &str) -> Result<Option<Item>, StoreError> {
        Ok(self.with(|records| records.get(key).cloned()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Item)>, StoreError> {
        Ok(self.with(|records| begin_with(records, prefix)))
    }

    /// Blocks for as long as the disk needs: changes are few.
    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.with(|records| {
            let next = after(records, writes)?;
            replace(&self.0.path, &next).map_err(unavailable)?;
            *records = next;
            Ok(())
        })
    }
}

/// Beside it first, so that the file is whole at every moment.
fn replace(path: &Path, records: &Records) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(records)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}
