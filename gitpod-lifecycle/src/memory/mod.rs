//! Adapters that keep everything in memory: for tests, and to build on.

mod cluster;
mod content;
mod records;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::cluster::MemoryCluster;
pub use self::content::MemoryContent;
pub use self::records::MemoryRecords;

/// Locks; what a thread that panicked left behind is taken as it is, as every
/// change here is made in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
