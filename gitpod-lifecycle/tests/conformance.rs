//! Every adapter keeps the promises of its trait.
#![cfg(all(feature = "testing", feature = "process"))]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use gitpod_lifecycle::process::{FileRecords, GitContent};
use gitpod_lifecycle::{
    ContentSource, GitSource, MemoryCluster, MemoryContent, MemoryRecords, NoContent, RecordError,
    Records, Status, conformance,
};
use support::*;

#[tokio::test]
async fn memory_is_a_cluster() {
    conformance::cluster(MemoryCluster::new()).await.unwrap();
}

#[tokio::test]
async fn local_processes_are_a_cluster() {
    let local = Local::new();
    conformance::cluster(local.cluster()).await.unwrap();
    assert_eq!(
        std::fs::read_dir(local.layout().instances())
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn memory_and_files_keep_records() {
    conformance::records(MemoryRecords::new()).await.unwrap();
    let local = Local::new();
    let files = FileRecords::open(local.dir.path()).await.unwrap();
    conformance::records(files).await.unwrap();
    assert_eq!(std::fs::read_dir(local.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn stores_keep_content() {
    conformance::content(NoContent::default(), ContentSource::Empty)
        .await
        .unwrap();
    conformance::content(MemoryContent::new(), ContentSource::Empty)
        .await
        .unwrap();
    let local = Local::new();
    conformance::content(GitContent::new(local.layout()), ContentSource::Empty)
        .await
        .unwrap();
    let repository = local.dir.path().join("repository");
    for args in [
        ["init", "-q"].as_slice(),
        &[
            "-c",
            "user.name=n",
            "-c",
            "user.email=e",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "x",
        ],
    ] {
        std::fs::create_dir_all(&repository).unwrap();
        assert!(
            Command::new("git")
                .arg("-C")
                .arg(&repository)
                .args(args)
                .status()
                .unwrap()
                .success()
        );
    }
    let source = ContentSource::Git(GitSource::new(repository.to_str().unwrap()));
    conformance::content(GitContent::new(local.layout()), source)
        .await
        .unwrap();
}

#[tokio::test]
async fn records_are_found_again_with_token_and_versions() {
    let local = Local::new();
    let first = FileRecords::open(local.dir.path()).await.unwrap();
    let status = Status::new().with_access("http://x/", "s3cret");
    let record = first.create(spec("i1", ""), status).await.unwrap();
    let record = first.replace(record).await.unwrap();
    let second = FileRecords::open(local.dir.path()).await.unwrap();
    assert_eq!(second.get(&id("i1")).await.unwrap(), Some(record));
    let path = local.dir.path().join("i1/record.json");
    assert_eq!(
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn broken_record_is_named_and_the_others_are_read() {
    let local = Local::new();
    let files = FileRecords::open(local.dir.path()).await.unwrap();
    files.create(spec("good", ""), Status::new()).await.unwrap();
    let good = std::fs::read(local.dir.path().join("good/record.json")).unwrap();
    for (name, text) in [
        ("cut", &good[..good.len() / 2]),
        ("empty", &[]),
        ("other", &good),
        ("binary", &[0xff, 0]),
    ] {
        std::fs::create_dir(local.dir.path().join(name)).unwrap();
        std::fs::write(local.dir.path().join(name).join("record.json"), text).unwrap();
    }
    std::fs::create_dir(local.dir.path().join("no-record-yet")).unwrap();
    std::fs::write(local.dir.path().join("no directory"), "").unwrap();

    let files = FileRecords::open(local.dir.path()).await.unwrap();
    let listing = files.list().await.unwrap();
    assert_eq!(listing.records.len(), 1);
    assert_eq!(listing.broken.len(), 4);
    for why in listing.broken {
        let text = why.to_string();
        assert!(
            text.contains("/record.json") && text.contains("repair it, or remove it"),
            "{text}"
        );
    }
    let refused = files
        .create(spec("cut", ""), Status::new())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RecordError::Exists(_)),
        "a broken record is not overwritten"
    );
}

#[tokio::test]
async fn old_record_is_intact_when_the_new_one_cannot_be_written() {
    let local = Local::new();
    let files = FileRecords::open(local.dir.path()).await.unwrap();
    let record = files.create(spec("i1", ""), Status::new()).await.unwrap();
    let in_the_way = local.dir.path().join("i1/record.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let mut next = record.clone();
    next.spec.owner = "somebody".to_owned();
    files.replace(next.clone()).await.unwrap_err();
    assert_eq!(files.get(&id("i1")).await.unwrap(), Some(record.clone()));
    let again = FileRecords::open(local.dir.path()).await.unwrap();
    assert_eq!(again.get(&id("i1")).await.unwrap(), Some(record));
    std::fs::remove_dir(in_the_way).unwrap();
    files.replace(next).await.unwrap(); // tried again, it works
}
