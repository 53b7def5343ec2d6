//! Records on a disk that is full.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::Timestamp;

use super::*;
use crate::condition::Condition;

/// A disk with room only for what a reserve has given back.
#[derive(Debug)]
struct FullDisk {
    reserve: Reserve,
    is_full: AtomicBool,
    /// What the reserve held, less what was written since.
    left: AtomicUsize,
}

impl Files for FullDisk {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let left = self.left.load(Ordering::SeqCst);
        if self.is_full.load(Ordering::SeqCst) {
            if self.reserve.left() == left {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.left.store(left - 1, Ordering::SeqCst);
        }
        Disk.write_new(path, bytes)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.make_dir(dir)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        Disk.sync_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        Disk.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.remove_dir(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Disk.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(dir)
    }

    fn exists(&self, path: &Path) -> bool {
        Disk.exists(path)
    }
}

fn record_of(name: &str) -> (Spec, Status) {
    let workspace = "pink-panda-ns35kd21".into();
    let spec = Spec::new(name.parse().unwrap(), workspace, Timestamp::UNIX_EPOCH);
    (spec, Status::new())
}

/// Records below `dir` on a disk that is not full yet.
async fn with_reserve(dir: &Path) -> (FileRecords, Arc<FullDisk>) {
    let reserve = Reserve::new(dir.join("reserve"));
    reserve.fill();
    let disk = Arc::new(FullDisk {
        is_full: AtomicBool::new(false),
        left: AtomicUsize::new(reserve.left()),
        reserve: reserve.clone(),
    });
    let records = FileRecords::open_on(Arc::clone(&disk) as _, dir.join("instances")).await;
    (records.unwrap().with_reserve(reserve), disk)
}

#[tokio::test]
async fn on_a_full_disk_a_stop_is_kept_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (records, disk) = with_reserve(dir.path()).await;
    let (reserve, instances) = (disk.reserve.clone(), dir.path().join("instances"));
    let (spec, status) = record_of("a");
    let mut record = records.create(spec, status).await.unwrap();

    disk.is_full.store(true, Ordering::SeqCst);
    let before = reserve.left();
    let (spec, status) = record_of("b");
    for refused in [
        records.create(spec, status).await,
        records.replace(record.clone()).await,
    ] {
        assert!(matches!(refused, Err(RecordError::Full(_))), "{refused:?}");
    }
    assert_eq!(reserve.left(), before, "it is for stops");

    let asked = Condition::holds(ConditionType::StoppedByRequest, Timestamp::UNIX_EPOCH);
    record.status.conditions.set(asked);
    let kept = records.replace(record).await.unwrap();
    assert_eq!(reserve.left(), before - 1);
    let again = FileRecords::open(instances).await.unwrap();
    let found = again.get(&kept.spec.instance).await.unwrap();
    assert_eq!(found, Some(kept));
}

#[tokio::test]
async fn on_a_full_disk_whatever_ends_a_run_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (records, disk) = with_reserve(dir.path()).await;
    let ends = [ConditionType::Timeout, ConditionType::Failed];
    let mut runs = Vec::new();
    for (name, end) in ["a", "b"].into_iter().zip(ends) {
        let (spec, status) = record_of(name);
        runs.push((records.create(spec, status).await.unwrap(), end));
    }
    disk.is_full.store(true, Ordering::SeqCst);
    for (mut record, end) in runs {
        let condition = Condition::holds(end.clone(), Timestamp::UNIX_EPOCH);
        record.status.conditions.set(condition);
        assert!(records.replace(record).await.is_ok(), "{end:?}");
    }
}
