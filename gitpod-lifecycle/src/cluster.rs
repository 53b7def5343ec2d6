//! Where runners run: the trait that a platform implements.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use gitpod_routing::{BoxError, InstanceId};

use crate::change::Changes;
use crate::facts::Facts;
use crate::spec::Spec;

/// A platform that runs workspaces: processes, containers, virtual machines.
///
/// **Who calls it.** The [`Manager`](crate::Manager), one worker per instance:
/// calls for one instance never overlap, calls for different instances do.
/// [`facts`](Self::facts) is called once per pass, that is after each change
/// and when a limit is due; the others when the plan says so.
///
/// **What outcomes mean.** Every action may be repeated, and is, when the
/// process ended before its result was recorded: creating what exists answers
/// [`Created::Existed`], deleting or releasing what is gone is `Ok`. `Err`
/// means "not known whether it happened": the pass ends and is repeated, at
/// first after 5 ms, at most after 30 s.
///
/// **How old answers may be.** Facts may lag behind an action; the change that
/// follows must then be told through [`changes`](Self::changes). A change that
/// is never told is found late or never.
///
/// **Dropping a future** must leave the platform so that the same call can be
/// repeated.
///
/// **Life of a runner.** `create` → facts show it → `content` (twice) →
/// running and ready → `delete` → facts show it `deleting`, and in the end not
/// running → `release` → facts do not show it any more. A runner that ends by
/// itself stays visible, as ended, until it is deleted and released.
///
/// **Source:** chosen by us; what pods do on Kubernetes with a finalizer.
///
/// [`conformance::cluster`](crate::conformance::cluster()) checks an
/// implementation against this text (feature `testing`).
#[async_trait]
pub trait Cluster: fmt::Debug + Send + Sync + 'static {
    /// What is seen of `instance` now. An instance that was never created has
    /// no runner; that is no error.
    async fn facts(&self, instance: &InstanceId) -> Result<Facts, ClusterError>;

    /// Creates the runner `name` for `spec`. Returns once it is certain that it
    /// will be seen, not when it runs.
    async fn create(&self, spec: &Spec, name: &str) -> Result<Created, ClusterError>;

    /// Tells how far the content of `spec` is. For platforms that wait with
    /// something until it is there; the default does nothing.
    async fn content(&self, spec: &Spec, stage: ContentStage) -> Result<(), ClusterError> {
        let _ = (spec, stage);
        Ok(())
    }

    /// Asks the runner `name` of `instance` to end, and ends it by force after
    /// `grace` (the platform's own default if absent). Returns at once. Asked
    /// again with a shorter grace, the shorter one counts.
    async fn delete(
        &self,
        instance: &InstanceId,
        name: &str,
        grace: Option<Duration>,
    ) -> Result<(), ClusterError>;

    /// Lets the deleted runner `name` of `instance` vanish, as soon as nothing
    /// of it runs.
    async fn release(&self, instance: &InstanceId, name: &str) -> Result<(), ClusterError>;

    /// Forgets what was only needed to start `instance`. The default has nothing
    /// to forget.
    async fn drop_secrets(&self, instance: &InstanceId) -> Result<(), ClusterError> {
        let _ = instance;
        Ok(())
    }

    /// What changes from now on. [`ChangeFeed`](crate::ChangeFeed) makes one.
    fn changes(&self) -> Changes;
}

/// What came of [`Cluster::create`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Created {
    /// It was created by this call.
    New,
    /// It had been created before.
    Existed,
}

/// How far the content of an instance is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ContentStage {
    /// It is being put in place.
    Preparing,
    /// It is in place.
    Ready,
}

/// The platform could not do it, or it is not known whether it did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The platform did not answer, or not in time.
    #[error("platform cannot {what} now")]
    Unavailable {
        /// What it was asked to do.
        what: &'static str,
        /// What it said.
        #[source]
        why: BoxError,
    },
    /// It will never do this: the instance cannot be run there.
    #[error("platform refuses to {what}: {why}")]
    Refused {
        /// What it was asked to do.
        what: &'static str,
        /// Why not, and what would help.
        why: String,
    },
}

impl ClusterError {
    /// `what` did not work, because of `why`; it may work later.
    pub fn unavailable(what: &'static str, why: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            what,
            why: why.into(),
        }
    }

    /// `what` will never work, because of `why`.
    pub fn refused(what: &'static str, why: impl Into<String>) -> Self {
        Self::Refused {
            what,
            why: why.into(),
        }
    }
}
