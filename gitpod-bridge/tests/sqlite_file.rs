//! A file that is damaged, full, newer, or out of reach gives an error that says what to do.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use gitpod_bridge::{
    InstanceStore, NewInstance, NewWorkspace, Outbox, SqliteOptions, SqliteStore, StopOrigin,
    StoreError, WorkspaceStore, stop_instance,
};
use sqlx::{Connection, Executor};

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gitpod.db");
    (directory, path)
}

fn new_workspace(number: u32) -> NewWorkspace {
    let id = format!("pink-panda-{number:08}").parse().unwrap();
    NewWorkspace::new(id, "/repo")
}

async fn raw(path: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn file_that_is_no_database_is_left_alone() {
    let (_directory, path) = temporary();
    let text = "this is not a database, but somebody's notes\n".repeat(200);
    std::fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn word_that_nobody_writes_is_damage_and_not_a_panic() {
    let (_directory, path) = temporary();
    let store = SqliteStore::open(&path).await.unwrap();
    store.create_workspace(new_workspace(1)).await.unwrap();
    raw(&path, "UPDATE workspace SET created_at = 'yesterday'").await;
    let error = store.workspaces().await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn file_of_a_newer_version_is_refused() {
    let (_directory, path) = temporary();
    SqliteStore::open(&path).await.unwrap().close().await;
    raw(
        &path,
        "INSERT INTO _sqlx_migrations VALUES (999, 'future', '2030-01-01', 1, x'00', 1)",
    )
    .await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 999, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn directory_that_does_not_exist_is_named() {
    let (directory, _) = temporary();
    let path = directory.path().join("missing/gitpod.db");
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Inaccessible { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("missing/gitpod.db"), "{error}");
}

#[tokio::test]
async fn full_disk_loses_nothing_and_ends_when_there_is_space() {
    let (_directory, path) = temporary();
    let store = SqliteOptions::new(&path)
        .with_max_pages(40)
        .open()
        .await
        .unwrap();
    let mut made = 0;
    let error = loop {
        let new = new_workspace(made).with_description("x".repeat(2000));
        match store.create_workspace(new).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 1000, "the limit has no effect");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(
        error.is_transient() && error.to_string().contains("no space left"),
        "{error}"
    );
    let kept = store.workspaces().await.unwrap();
    assert_eq!(kept.len(), usize::try_from(made).unwrap());
    for record in kept.iter().take(10) {
        assert!(store.delete_workspace(&record.workspace.id).await.unwrap());
    }
    store.create_workspace(new_workspace(5000)).await.unwrap();
}

#[tokio::test]
async fn reopened_file_has_everything_and_its_owner_alone_reads_it() {
    let (_directory, path) = temporary();
    let store = SqliteStore::open(&path).await.unwrap();
    let new = new_workspace(1).with_definition(serde_json::json!({"branch": "main"}));
    let workspace = store.create_workspace(new).await.unwrap();
    let new = NewInstance::new("run-1".parse().unwrap(), workspace.id.clone(), "local");
    let row = store.create_instance(new).await.unwrap();
    stop_instance(&store, &row.id, StopOrigin::External, "refused")
        .await
        .unwrap();
    let before = store.workspaces().await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.workspaces().await.unwrap(), before);
    let waiting = store.take(10, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(
        waiting.len(),
        2,
        "the stop and its event wait for the next start"
    );
    #[cfg(unix)]
    for name in ["gitpod.db", "gitpod.db-wal"] {
        use std::os::unix::fs::PermissionsExt;
        let file = path.with_file_name(name);
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn checks_of_the_tables_refuse_what_the_rules_forbid() {
    let (_directory, path) = temporary();
    let store = SqliteStore::open(&path).await.unwrap();
    let workspace = store.create_workspace(new_workspace(1)).await.unwrap();
    let id: gitpod_routing::InstanceId = "run-1".parse().unwrap();
    let new = NewInstance::new(id.clone(), workspace.id, "local");
    store.create_instance(new).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    for wrong in [
        "UPDATE workspace_instance SET phase = 'stopped'",
        "UPDATE workspace_instance SET stopped_at = '2030-01-01T00:00:00.000Z'",
        "UPDATE workspace_instance SET stop_origin = 'observed'",
        "UPDATE workspace_instance SET phase = 'gone'",
        "UPDATE workspace_instance SET status_version = -1",
        "UPDATE workspace_instance SET conditions = 'no json'",
        "UPDATE workspace_instance SET workspace_id = 'nowhere'",
    ] {
        assert!(connection.execute(wrong).await.is_err(), "{wrong}");
    }
    assert!(store.instance(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn tokens_of_a_stopped_instance_are_deleted_and_no_others() {
    let (_directory, path) = temporary();
    let store = SqliteStore::open(&path).await.unwrap();
    let workspace = store
        .create_workspace(new_workspace(1).with_owner("u1"))
        .await
        .unwrap();
    let id: gitpod_routing::InstanceId = "run-1".parse().unwrap();
    let new = NewInstance::new(id.clone(), workspace.id, "local");
    store.create_instance(new).await.unwrap();
    raw(
        &path,
        "INSERT INTO gitpod_token (token_hash, name, user_id, created_at) VALUES
         ('1', 'run-1-default', 'u1', ''), ('2', 'run-1x-default', 'u1', ''),
         ('3', 'run-1-default', 'u2', ''), ('4', NULL, 'u1', ''), ('5', 'run_1-default', 'u1', '')",
    )
    .await;
    stop_instance(&store, &id, StopOrigin::Inferred, "silent")
        .await
        .unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let query = sqlx::query_scalar("SELECT token_hash FROM gitpod_token ORDER BY token_hash");
    let left: Vec<String> = query.fetch_all(&mut connection).await.unwrap();
    assert_eq!(left, ["2", "3", "4", "5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_may_open_a_new_file_at_once() {
    for _ in 0..10 {
        let (_directory, path) = temporary();
        let (first, second) = tokio::join!(SqliteStore::open(&path), SqliteStore::open(&path));
        let (first, second) = (first.unwrap(), second.unwrap());
        first.create_workspace(new_workspace(1)).await.unwrap();
        second.create_workspace(new_workspace(2)).await.unwrap();
        assert_eq!(first.workspaces().await.unwrap().len(), 2);
    }
}
