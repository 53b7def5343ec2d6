//! Records on a disk that loses power after any operation.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::*;
use crate::memory::lock;

/// A disk that loses what was not synchronised.
#[derive(Debug, Default)]
struct LossyDisk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    /// After so many operations the power fails; never, if absent.
    left: Option<usize>,
    done: Vec<Operation>,
    /// An operation that says that it was done, and does nothing.
    forgets: Option<Operation>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    MakeDir,
    WriteNew,
    SyncFile,
    SyncDir,
    Rename,
    RemoveFile,
    RemoveDir,
}

/// A file or directory: as programs see it, and as the disk would bring it back.
#[derive(Debug)]
enum Node {
    File { now: Vec<u8>, kept: Vec<u8> },
    Dir { now: Names, kept: Names },
}

type Names = BTreeMap<String, usize>;

/// What becomes of names that were not synchronised. A disk may do either, or anything between.
#[derive(Clone, Copy, Debug)]
enum Unsynced {
    /// Gone.
    Lost,
    /// Kept, though the bytes of the files are not: what is known from journals of names alone.
    NamesKept,
}

impl LossyDisk {
    /// With an empty directory `/state`, which is safe.
    fn new() -> Arc<Self> {
        let disk = Self::default();
        let root = Names::from([("state".to_owned(), 1)]);
        let dir = |names: Names| Node::Dir {
            now: names.clone(),
            kept: names,
        };
        lock(&disk.0).nodes = vec![dir(root), dir(Names::new())];
        Arc::new(disk)
    }

    fn fails_after(&self, operations: usize) {
        lock(&self.0).left = Some(operations);
    }

    /// The power fails, and comes back.
    fn lose_power(&self, unsynced: Unsynced) {
        let mut state = lock(&self.0);
        state.left = None;
        for node in &mut state.nodes {
            match (node, unsynced) {
                (Node::File { now, kept }, _) => now.clone_from(kept),
                (Node::Dir { now, kept }, Unsynced::Lost) => now.clone_from(kept),
                (Node::Dir { now, kept }, Unsynced::NamesKept) => kept.clone_from(now),
            }
        }
    }

    fn operate<T>(
        &self,
        what: Operation,
        how: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = lock(&self.0);
        match &mut state.left {
            Some(0) => return Err(io::Error::other("the power is off")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.done.push(what);
        how(&mut state)
    }
}

fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl State {
    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut at = 0;
        for part in path.components().filter(|it| *it != Component::RootDir) {
            let Node::Dir { now, .. } = &self.nodes[at] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            match now.get(part.as_os_str().to_str().unwrap()) {
                Some(next) => at = *next,
                None => return missing(),
            }
        }
        Ok(at)
    }

    fn names(&mut self, dir: &Path) -> io::Result<&mut Names> {
        let at = self.find(dir)?;
        match &mut self.nodes[at] {
            Node::Dir { now, .. } => Ok(now),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<()> {
        let next = self.nodes.len();
        let names = self.names(path.parent().unwrap())?;
        if names.contains_key(&name_of(path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.insert(name_of(path), next);
        self.nodes.push(node);
        Ok(())
    }

    fn take(&mut self, path: &Path) -> io::Result<usize> {
        let names = self.names(path.parent().unwrap())?;
        names.remove(&name_of(path)).map_or_else(missing, Ok)
    }
}

impl Files for LossyDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let node = Node::Dir {
            now: Names::new(),
            kept: Names::new(),
        };
        self.operate(Operation::MakeDir, |state| state.add(dir, node))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let node = Node::File {
            now: bytes.to_vec(),
            kept: Vec::new(),
        };
        self.operate(Operation::WriteNew, |state| state.add(path, node))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.operate(Operation::SyncFile, |state| {
            let (at, forgets) = (state.find(path)?, state.forgets);
            if let (Node::File { now, kept }, true) =
                (&mut state.nodes[at], forgets != Some(Operation::SyncFile))
            {
                kept.clone_from(now);
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.operate(Operation::SyncDir, |state| {
            let (at, forgets) = (state.find(dir)?, state.forgets);
            if let (Node::Dir { now, kept }, true) =
                (&mut state.nodes[at], forgets != Some(Operation::SyncDir))
            {
                kept.clone_from(now);
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(Operation::Rename, |state| {
            let node = state.take(from)?;
            let names = state.names(to.parent().unwrap())?;
            names.insert(name_of(to), node);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate(Operation::RemoveFile, |state| state.take(path).map(drop))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.operate(Operation::RemoveDir, |state| {
            if !state.names(dir)?.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.take(dir).map(drop)
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = lock(&self.0);
        match &state.nodes[state.find(path)?] {
            Node::File { now, .. } => Ok(now.clone()),
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = lock(&self.0);
        let names = state.names(dir)?;
        Ok(names.keys().map(|name| dir.join(name)).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        lock(&self.0).find(path).is_ok()
    }
}

/// What is asked of the records, one after the other.
#[derive(Clone, Copy, Debug)]
enum Change {
    Create(&'static str),
    Replace(&'static str),
    Delete(&'static str),
}

const CHANGES: [Change; 11] = [
    Change::Create("a"),
    Change::Replace("a"),
    Change::Create("b"),
    Change::Replace("b"),
    Change::Replace("a"),
    Change::Delete("a"),
    Change::Create("c"),
    Change::Delete("b"),
    Change::Create("a"), // under a name that was used
    Change::Replace("c"),
    Change::Delete("c"),
];

/// Version of each record; none of those that are not there.
type Versions = BTreeMap<String, u64>;

async fn versions(records: &FileRecords) -> Versions {
    let listing = records.list().await.unwrap();
    assert!(listing.broken.is_empty(), "{:?}", listing.broken);
    let version = |it: &Record| (it.spec.instance.to_string(), it.version);
    listing.records.iter().map(version).collect()
}

async fn make(records: &FileRecords, change: Change) -> Result<(), RecordError> {
    let id = |name: &str| name.parse::<InstanceId>().unwrap();
    match change {
        Change::Create(name) => {
            let spec = Spec::new(
                id(name),
                "pink-panda-ns35kd21".into(),
                Timestamp::UNIX_EPOCH,
            );
            records.create(spec, Status::new()).await.map(drop)
        }
        Change::Replace(name) => {
            let known = records.get(&id(name)).await?.unwrap();
            records.replace(known).await.map(drop)
        }
        Change::Delete(name) => records.delete(&id(name)).await,
    }
}

fn after(before: &Versions, change: Change) -> Versions {
    let mut after = before.clone();
    match change {
        Change::Create(name) => drop(after.insert(name.to_owned(), 1)),
        Change::Replace(name) => *after.get_mut(name).unwrap() += 1,
        Change::Delete(name) => drop(after.remove(name)),
    }
    after
}

/// Makes all changes on `disk` until one fails. What was acknowledged, and what would be
/// if the one that failed had been.
async fn work(disk: &Arc<LossyDisk>) -> (Versions, Option<Versions>) {
    let mut acknowledged = Versions::new();
    let Ok(records) = open(disk).await else {
        return (acknowledged.clone(), Some(acknowledged));
    };
    for change in CHANGES {
        let next = after(&acknowledged, change);
        if make(&records, change).await.is_err() {
            return (acknowledged, Some(next));
        }
        acknowledged = next;
    }
    (acknowledged, None)
}

async fn open(disk: &Arc<LossyDisk>) -> Result<FileRecords, RecordError> {
    let files: Arc<dyn Files> = Arc::clone(disk) as _;
    FileRecords::open_on(files, PathBuf::from("/state/instances")).await
}

/// What is found after the power has failed, and whether it may be found.
async fn fail_after(operations: usize, unsynced: Unsynced, forgets: Option<Operation>) -> Outcome {
    let disk = LossyDisk::new();
    lock(&disk.0).forgets = forgets;
    disk.fails_after(operations);
    let (acknowledged, next) = work(&disk).await;
    disk.lose_power(unsynced);
    let records = open(&disk).await.unwrap();
    let listing = records.list().await.unwrap();
    if !listing.broken.is_empty() {
        return Outcome::Lost;
    }
    let found = versions(&records).await;
    let allowed = found == acknowledged || Some(&found) == next.as_ref();
    if allowed {
        goes_on(&records, &found).await;
    }
    match (allowed, next.is_none()) {
        (false, _) => Outcome::Lost,
        (true, false) => Outcome::Kept,
        (true, true) => Outcome::AllDone,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Kept,
    Lost,
    /// Kept, and there were no more operations.
    AllDone,
}

/// Whatever was left behind, every change can be made again.
async fn goes_on(records: &FileRecords, found: &Versions) {
    for name in ["a", "b", "c"] {
        if found.contains_key(name) {
            make(records, Change::Replace(name)).await.unwrap();
        }
        make(records, Change::Delete(name)).await.unwrap();
        make(records, Change::Create(name)).await.unwrap();
    }
    assert_eq!(versions(records).await.len(), 3);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_wherever_the_power_fails() {
    for unsynced in [Unsynced::Lost, Unsynced::NamesKept] {
        for operations in 0.. {
            let outcome = fail_after(operations, unsynced, None).await;
            assert_ne!(
                outcome,
                Outcome::Lost,
                "{operations} operations, {unsynced:?}"
            );
            if outcome == Outcome::AllDone {
                assert!(operations > 60, "only {operations} operations were cut off");
                break;
            }
        }
    }
}

/// Else the test above would say nothing.
#[tokio::test]
async fn disk_that_does_not_synchronise_loses_records() {
    for forgotten in [Operation::SyncFile, Operation::SyncDir] {
        let mut lost = 0;
        for operations in 0..60 {
            let outcome = fail_after(operations, Unsynced::Lost, Some(forgotten)).await;
            lost += usize::from(outcome == Outcome::Lost);
        }
        assert!(
            lost > 30,
            "{forgotten:?} forgotten, and {lost} of 60 lost something"
        );
    }
}

#[tokio::test]
async fn record_is_synchronised_before_its_name_and_its_name_before_it_is_told() {
    let disk = LossyDisk::new();
    let records = open(&disk).await.unwrap();
    make(&records, Change::Create("a")).await.unwrap();
    lock(&disk.0).done.clear();
    make(&records, Change::Replace("a")).await.unwrap();
    let expected = [
        Operation::RemoveFile, // of what an earlier process may have left
        Operation::WriteNew,
        Operation::SyncFile,
        Operation::Rename,
        Operation::SyncDir,
    ];
    assert_eq!(lock(&disk.0).done, expected);
}
