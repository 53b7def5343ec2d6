//! The tables, step by step. Steps are only ever added.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;

use super::error::Place;
use crate::store::StoreError;

const STEPS: [(&str, &str); 2] = [
    ("core", include_str!("migrations/0001_core.sql")),
    (
        "coordination",
        include_str!("migrations/0002_coordination.sql"),
    ),
];

/// Takes the steps that the file has not taken yet: all of them, or none.
///
/// The write lock is held from the start, so that of two processes that open a
/// new file one waits for the other.
pub(super) async fn up_to_date(pool: &SqlitePool, place: &Place) -> Result<(), StoreError> {
    let transaction = pool.begin_with("BEGIN IMMEDIATE").await;
    let mut transaction = transaction.map_err(|error| place.explain(error))?;
    let taken = migrator().run(&mut *transaction).await;
    taken.map_err(|error| explain(error, place))?;
    let committed = transaction.commit().await;
    committed.map_err(|error| place.explain(error))
}

fn migrator() -> Migrator {
    let numbered = (1..).zip(STEPS);
    let steps = numbered.map(|(number, (name, sql))| {
        let sql = sql.into_sql_str();
        Migration::new(number, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(steps.collect())
}

fn explain(error: MigrateError, place: &Place) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::NewerSchema {
            path: place.path(),
            found,
            known: i64::try_from(STEPS.len()).unwrap_or(i64::MAX),
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            place.explain(error)
        }
        MigrateError::VersionMismatch(_) | MigrateError::Dirty(_) => place.damaged(error),
        other => StoreError::Other(other.into()),
    }
}
