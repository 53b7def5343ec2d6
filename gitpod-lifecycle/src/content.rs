//! The files of workspaces: the trait that whoever keeps them implements.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::BoxError;

use crate::spec::{PortSpec, Spec, WorkspaceName};
use crate::status::{GitStatus, InitializerMetrics};

/// Puts the files of workspaces in place, and away.
///
/// Every method has a default that does nothing, for platforms where somebody
/// else does it: see [`NoContent`].
///
/// **Who calls it.** The [`Manager`](crate::Manager). [`prepare`](Self::prepare)
/// once its runner is there, again after a restart if it had not ended;
/// [`finish`](Self::finish) when it stops and nothing of it runs any more, unless
/// it was aborted. Never two calls for one workspace at a time.
///
/// **What outcomes mean.** `Err` of `prepare` fails the instance, of `finish`
/// is its backup failure; neither is repeated. The text is shown to the user.
///
/// **Dropping a future** of `prepare` gives up: the workspace is stopped while
/// its content is prepared. What is half done must be redone or completed by the
/// next `prepare`, and nothing may go on in the background.
///
/// **Source:** chosen by us; the contract of the reference system's node agent,
/// section 16 of the manager's specification.
///
/// [`conformance::content`](crate::conformance::content()) checks an
/// implementation against this text (feature `testing`).
#[async_trait]
pub trait ContentStore: fmt::Debug + Send + Sync + 'static {
    /// Puts the content of `spec` in place. What an earlier instance of the same
    /// workspace left is kept as it is.
    async fn prepare(&self, spec: &Spec, progress: &Progress) -> Result<Prepared, ContentError> {
        let _ = (spec, progress);
        Ok(Prepared::default())
    }

    /// Puts the content of `spec` away.
    async fn finish(&self, spec: &Spec) -> Result<Finished, ContentError> {
        let _ = spec;
        Ok(Finished::default())
    }

    /// Removes all content of `workspace`, of which no instance is left. That
    /// there is none is no failure.
    async fn delete(&self, workspace: &WorkspaceName) -> Result<(), ContentError> {
        let _ = workspace;
        Ok(())
    }
}

/// Workspaces without content, or whose content is nobody's business here.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoContent;

#[async_trait]
impl ContentStore for NoContent {}

/// What came of [`ContentStore::prepare`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Prepared {
    /// How long it took; absent if there was nothing to do.
    pub metrics: Option<InitializerMetrics>,
    /// Ports that the content itself describes. They are added to the spec. Of those that it
    /// has already, the ones without a name and a description are described by them; who may
    /// use them stays as the spec says.
    pub ports: Vec<PortSpec>,
}

/// What came of [`ContentStore::finish`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Finished {
    /// Where a snapshot of it is, if one was taken.
    pub snapshot: Option<String>,
    /// What git says of it, if that was asked.
    pub git: Option<GitStatus>,
}

/// How far the content of an instance is, for whoever watches.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ProgressStep {
    /// What is being done: `Receiving objects`.
    pub step: String,
    /// How much of it is done, 0 to 100; absent if that cannot be told.
    pub percent: Option<u8>,
}

/// Where progress is told to. Cheap to clone, never waits.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(ProgressStep) + Send + Sync>);

impl Progress {
    /// Calls `told` for each step.
    pub fn to(told: impl Fn(ProgressStep) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// Nobody wants to know.
    #[must_use]
    pub fn to_nobody() -> Self {
        Self::to(|_| {})
    }

    /// `step` is `percent` done.
    pub fn tell(&self, step: impl Into<String>, percent: Option<u8>) {
        (self.0)(ProgressStep {
            step: step.into(),
            percent,
        });
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Content could not be put in place, put away or removed.
///
/// Its text says what to do next where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// What was asked for cannot be content: refused before anything was done.
    #[error("{0}")]
    Refused(String),
    /// Its source does not exist or may not be read.
    #[error("{0}")]
    NotFound(String),
    /// There is no room for it.
    #[error("no space left for the content: {0}; free some space and start the workspace again")]
    Full(String),
    /// It takes more than it may.
    #[error("{0}")]
    OverLimit(String),
    /// A program that is needed is not installed.
    #[error("{0} is not installed; install it and start the workspace again")]
    MissingProgram(&'static str),
    /// Something else went wrong.
    #[error("{what}")]
    Failed {
        /// What went wrong.
        what: String,
        /// Why, if more is known.
        #[source]
        why: Option<BoxError>,
    },
}

impl ContentError {
    /// `what` went wrong.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::Failed {
            what: what.into(),
            why: None,
        }
    }

    /// `what` went wrong, because of `why`.
    pub fn because(what: impl Into<String>, why: impl Into<BoxError>) -> Self {
        Self::Failed {
            what: what.into(),
            why: Some(why.into()),
        }
    }

    /// Everything it says, with its causes, for a condition's message.
    #[must_use]
    pub fn whole_text(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(why) = source {
            text.push_str(": ");
            text.push_str(&why.to_string());
            source = why.source();
        }
        text
    }
}
