//! Both stores keep what their traits promise, on one thread and on several.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use gitpod_bridge::{MemoryStore, conformance};

#[tokio::test]
async fn memory_store_conforms_on_one_thread() {
    conformance::check(async || MemoryStore::new())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_store_conforms_on_several_threads() {
    conformance::check(async || MemoryStore::new())
        .await
        .unwrap();
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::sync::atomic::{AtomicU32, Ordering};

    use gitpod_bridge::{SqliteStore, conformance};

    async fn check() {
        let directory = tempfile::tempdir().unwrap();
        let opened = AtomicU32::new(0);
        let open = async || {
            let number = opened.fetch_add(1, Ordering::Relaxed);
            let path = directory.path().join(format!("{number}.db"));
            SqliteStore::open(path).await.unwrap()
        };
        conformance::check(open).await.unwrap();
    }

    #[tokio::test]
    async fn sqlite_store_conforms_on_one_thread() {
        check().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sqlite_store_conforms_on_several_threads() {
        check().await;
    }
}
