//! What is kept of each instance: the trait that a store implements.

use std::fmt;

use async_trait::async_trait;
use gitpod_routing::{BoxError, InstanceId};
use serde::{Deserialize, Serialize};

use crate::change::Changes;
use crate::spec::Spec;
use crate::status::Status;

/// Spec and status of one instance, as they are kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// Which change of the instance this is: 1 for the first. Only grows.
    pub version: u64,
    /// What is wanted.
    pub spec: Spec,
    /// What has come of it.
    pub status: Status,
}

impl Record {
    /// The first record of an instance.
    #[must_use]
    pub fn first(spec: Spec, status: Status) -> Self {
        Self {
            version: 1,
            spec,
            status,
        }
    }
}

/// Keeps one record per instance.
///
/// **Who calls it.** The [`Manager`](crate::Manager), a few times per change of
/// an instance; [`get`](Self::get) most often, so it should not be slow.
///
/// **What outcomes mean.** `Ok(None)`: there certainly is no such record. `Err`
/// of a write other than [`RecordError::Changed`] and [`RecordError::Exists`]:
/// the old record is still there and intact.
///
/// **How old answers may be.** Not at all: a read sees every write that was
/// answered before.
///
/// **Dropping a future** of a write leaves the record as it was or as it was to
/// become, never in between.
///
/// **Source:** chosen by us; optimistic concurrency as Kubernetes has it.
///
/// [`conformance::records`](crate::conformance::records()) checks an
/// implementation against this text (feature `testing`).
#[async_trait]
pub trait Records: fmt::Debug + Send + Sync + 'static {
    /// Keeps a first record.
    ///
    /// # Errors
    ///
    /// [`RecordError::Exists`] if there is one of that instance.
    async fn create(&self, spec: Spec, status: Status) -> Result<Record, RecordError>;

    /// The record of `instance`.
    async fn get(&self, instance: &InstanceId) -> Result<Option<Record>, RecordError>;

    /// Keeps `record` in the place of the one that has its version, and answers
    /// with it under its new version.
    ///
    /// # Errors
    ///
    /// [`RecordError::Changed`] if the record has another version by now, or is gone.
    async fn replace(&self, record: Record) -> Result<Record, RecordError>;

    /// Lets the record of `instance` go. That it is gone already is no failure.
    async fn delete(&self, instance: &InstanceId) -> Result<(), RecordError>;

    /// All records, in no order, and those that cannot be read.
    async fn list(&self) -> Result<Listing, RecordError>;

    /// What changes from now on, whoever changes it.
    fn changes(&self) -> Changes;
}

/// All records of a store.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Those that can be read.
    pub records: Vec<Record>,
    /// Why others cannot. They are left as they are.
    pub broken: Vec<RecordError>,
}

/// A record could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There is a record of that instance already.
    #[error("there is a record of instance {0} already")]
    Exists(InstanceId),
    /// Somebody else changed the record since it was read.
    #[error("record of instance {0} has changed meanwhile")]
    Changed(InstanceId),
    /// What is kept is no record. Says where it is and what to do.
    #[error("{place} is not a record: {problem}; repair it, or remove it to give that instance up")]
    Malformed {
        /// Where it is kept.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store has no room left.
    #[error("no space left to keep the record of instance {0}; free some space and try again")]
    Full(InstanceId),
    /// The store does not work now.
    #[error("store of records does not work: {what}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// Why it did not work.
        #[source]
        why: BoxError,
    },
}

impl RecordError {
    /// `what` did not work, because of `why`.
    pub fn unavailable(what: impl Into<String>, why: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            what: what.into(),
            why: why.into(),
        }
    }
}
