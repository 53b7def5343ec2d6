//! What SQLite says → what the caller can do about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::BoxError;
use crate::store::StoreError;

/// The file that errors are about.
#[derive(Clone, Debug)]
pub(super) struct Place(Arc<Path>);

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.to_path_buf()
    }

    pub(super) fn inaccessible(&self, error: impl Into<BoxError>) -> StoreError {
        StoreError::Inaccessible {
            path: self.path(),
            source: error.into(),
        }
    }

    pub(super) fn damaged(&self, error: impl Into<BoxError>) -> StoreError {
        StoreError::Damaged {
            path: self.path(),
            source: error.into(),
        }
    }

    /// The situation that `error` stands for.
    ///
    /// The lowest byte of a SQLite code names the situation, the rest a variant of it.
    pub(super) fn explain(&self, error: sqlx::Error) -> StoreError {
        let path = self.path();
        match primary_code(&error) {
            Some(BUSY | LOCKED) => StoreError::Unavailable(error.into()),
            Some(FULL) => StoreError::Full {
                path,
                source: error.into(),
            },
            Some(CORRUPT | NOT_A_DATABASE) => self.damaged(error),
            Some(CANNOT_OPEN | READ_ONLY | PERMISSION) => self.inaccessible(error),
            Some(INPUT_OUTPUT) => StoreError::Unavailable(error.into()),
            Some(_) => StoreError::Other(error.into()),
            None => match error {
                sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => {
                    StoreError::Unavailable(error.into())
                }
                // A word or a number in a column that this program never writes there.
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => self.damaged(error),
                other => StoreError::Other(other.into()),
            },
        }
    }
}

/// Whether `error` says that a row of that key exists.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    let code: i32 = code.parse().ok()?;
    Some(code & 0xff)
}

const PERMISSION: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const INPUT_OUTPUT: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;
