//! Records as files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::InstanceId;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::disk::{Disk, Files};
use super::private_file::{
    Durability, is_full, make_dir_on_disk, remove_on_disk, remove_unfinished, replace,
};
use super::reserve::Reserve;
use crate::change::Changes;
use crate::condition::ConditionType;
use crate::memory::MemoryRecords;
use crate::phase::Phase;
use crate::records::{Listing, Record, RecordError, Records};
use crate::spec::Spec;
use crate::status::Status;

/// [`Records`] in the file `record.json` of each instance's directory, of mode 0600.
///
/// All files are read once; from then on they belong to this value, and are only
/// written. A record is on the disk, where it survives a power failure, before anybody is
/// told of it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct FileRecords {
    files: Arc<dyn Files>,
    dir: Arc<Path>,
    known: MemoryRecords,
    /// Why some files could not be read, as text.
    broken: Arc<Vec<(String, String)>>,
    /// Held by whoever writes.
    writing: Arc<Mutex<()>>,
    /// Room for what is written of an instance that stops.
    reserve: Option<Reserve>,
}

/// Name of the file in the directory of an instance.
pub(crate) const RECORD: &str = "record.json";

impl FileRecords {
    /// Reads all records below `dir`, where each instance has a directory of its
    /// name. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made or read. Files that are no records are no
    /// error: [`Records::list`] tells of them, and they are left as they are.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Self, RecordError> {
        Self::open_on(Arc::new(Disk), dir.into()).await
    }

    async fn open_on(files: Arc<dyn Files>, dir: PathBuf) -> Result<Self, RecordError> {
        let dir: Arc<Path> = dir.into();
        let read = spawn_blocking({
            let (files, dir) = (Arc::clone(&files), Arc::clone(&dir));
            move || read_all(&*files, &dir)
        })
        .await;
        let (records, broken) = read
            .map_err(|why| RecordError::unavailable("read all records", why))?
            .map_err(|why| RecordError::unavailable("read all records", why))?;
        Ok(Self {
            files,
            dir,
            known: MemoryRecords::holding(records),
            broken: Arc::new(broken),
            writing: Arc::default(),
            reserve: None,
        })
    }

    /// On a full disk, what is written of an instance that is to stop finds its room in
    /// `reserve`, which is filled again as instances come and go.
    #[must_use]
    pub fn with_reserve(self, reserve: Reserve) -> Self {
        Self {
            reserve: Some(reserve),
            ..self
        }
    }

    /// Takes from the disk what the reserve lacks, if there is plenty.
    async fn fill_reserve(&self) {
        if let Some(reserve) = self.reserve.clone() {
            let _ = spawn_blocking(move || reserve.fill()).await;
        }
    }

    fn path(&self, instance: &InstanceId) -> PathBuf {
        self.dir.join(instance.as_str()).join(RECORD)
    }

    /// Writes `record`, then lets it be seen.
    async fn write(&self, record: Record) -> Result<Record, RecordError> {
        let id = record.spec.instance.clone();
        let path = self.path(&id);
        let text = serde_json::to_vec_pretty(&record)
            .map_err(|why| RecordError::unavailable("write a record", why))?;
        let files = Arc::clone(&self.files);
        let is_first = record.version == 1;
        let reserve = self.reserve.clone().filter(|_| is_to_stop(&record));
        let written = spawn_blocking(move || {
            if let Some(dir) = path.parent().filter(|_| is_first) {
                make_dir_on_disk(&*files, dir)?;
            }
            let write = || replace(&*files, &path, &text, Durability::OnDisk);
            match reserve {
                Some(reserve) => reserve.make_room_for(write),
                None => write(),
            }
        });
        match written.await {
            Ok(Ok(())) => {
                self.known.keep(record.clone());
                Ok(record)
            }
            Ok(Err(why)) if is_full(&why) => Err(RecordError::Full(id)),
            Ok(Err(why)) => Err(RecordError::unavailable(
                format!("write {}", self.path(&id).display()),
                why,
            )),
            Err(why) => Err(RecordError::unavailable("write a record", why)),
        }
    }
}

#[async_trait]
impl Records for FileRecords {
    async fn create(&self, spec: Spec, status: Status) -> Result<Record, RecordError> {
        let this = self.clone();
        finish(async move {
            this.fill_reserve().await;
            let _writing = this.writing.lock().await;
            let id = spec.instance.clone();
            if this.known.find(&id).is_some() || this.files.exists(&this.path(&id)) {
                return Err(RecordError::Exists(id));
            }
            this.write(Record::first(spec, status)).await
        })
        .await
    }

    async fn get(&self, instance: &InstanceId) -> Result<Option<Record>, RecordError> {
        Ok(self.known.find(instance))
    }

    async fn replace(&self, record: Record) -> Result<Record, RecordError> {
        let this = self.clone();
        finish(async move {
            let _writing = this.writing.lock().await;
            let next = this.known.successor(record)?;
            this.write(next).await
        })
        .await
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), RecordError> {
        let (this, id) = (self.clone(), instance.clone());
        finish(async move {
            let _writing = this.writing.lock().await;
            let path = this.path(&id);
            let what = format!("remove {}", path.display());
            let files = Arc::clone(&this.files);
            spawn_blocking(move || remove_on_disk(&*files, &path))
                .await
                .map_err(|why| RecordError::unavailable(what.clone(), why))?
                .map_err(|why| RecordError::unavailable(what, why))?;
            this.known.forget(&id);
            this.fill_reserve().await;
            Ok(())
        })
        .await
    }

    async fn list(&self) -> Result<Listing, RecordError> {
        let broken = self
            .broken
            .iter()
            .map(|(place, problem)| RecordError::Malformed {
                place: place.clone(),
                problem: problem.clone(),
            });
        Ok(Listing {
            records: self.known.all(),
            broken: broken.collect(),
        })
    }

    fn changes(&self) -> Changes {
        self.known.changes()
    }
}

/// Whether it makes room when this is kept: the run is on its way to its end.
fn is_to_stop(record: &Record) -> bool {
    let conditions = &record.status.conditions;
    record.spec.deletion_requested_at.is_some()
        || matches!(record.status.phase, Phase::Stopping | Phase::Stopped)
        || ENDS.iter().any(|kind| conditions.is_true(kind))
}

/// What a run is ended for.
const ENDS: [ConditionType; 4] = [
    ConditionType::StoppedByRequest,
    ConditionType::Aborted,
    ConditionType::Timeout,
    ConditionType::Failed,
];

/// Goes on although whoever asked may lose interest: file and memory must agree.
async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, RecordError>> + Send + 'static,
) -> Result<T, RecordError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|why| Err(RecordError::unavailable("write a record", why)))
}

type Broken = Vec<(String, String)>;

fn read_all(files: &dyn Files, dir: &Path) -> io::Result<(Vec<Record>, Broken)> {
    make_dir_on_disk(files, dir)?;
    let (mut records, mut broken) = (Vec::new(), Vec::new());
    for dir in files.list(dir)? {
        remove_unfinished(files, &dir)?;
        let path = dir.join(RECORD);
        match read(files, &path) {
            Ok(Some(record)) => records.push(record),
            Ok(None) => {} // an instance that is being made or removed
            Err(problem) => broken.push((path.display().to_string(), problem)),
        }
    }
    Ok((records, broken))
}

fn read(files: &dyn Files, path: &Path) -> Result<Option<Record>, String> {
    let text = match files.read(path) {
        Ok(text) => text,
        Err(why)
            if matches!(
                why.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(why) => return Err(format!("it cannot be read ({why})")),
    };
    let record: Record = serde_json::from_slice(&text).map_err(|why| why.to_string())?;
    let named = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    match named == Some(record.spec.instance.as_str()) {
        true => Ok(Some(record)),
        false => Err(format!("it belongs to instance {}", record.spec.instance)),
    }
}

#[cfg(test)]
#[path = "records/full_disk.rs"]
mod full_disk;
#[cfg(test)]
#[path = "records/power_failure.rs"]
mod power_failure;
