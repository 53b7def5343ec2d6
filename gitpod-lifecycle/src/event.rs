//! What is worth telling whoever watches an instance.

/// Something that happened to an instance in one pass.
///
/// **Source:** events that the reference system posts, manager specification, section 14.5.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A runner was created for it.
    Creating,
    /// Its refused runner is replaced by another one.
    Recreating,
    /// Its record goes away.
    Deleting,
    /// It became [`Initializing`](crate::Phase::Initializing).
    Initializing,
    /// It became [`Running`](crate::Phase::Running).
    Running,
    /// It became [`Stopping`](crate::Phase::Stopping).
    Stopping,
    /// It has reached a time limit; the text says which.
    TimedOut(String),
    /// Its machine refused its runner; the text says why.
    PodRejected(String),
    /// It has failed; the text says how.
    Failed(String),
}

impl Event {
    /// Its name, as the reference system writes it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Recreating => "Recreating",
            Self::Deleting => "Deleting",
            Self::Initializing => "Initializing",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::TimedOut(_) => "TimedOut",
            Self::PodRejected(_) => "PodRejected",
            Self::Failed(_) => "Failed",
        }
    }

    /// What it says beside its name; may be empty.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::TimedOut(text) | Self::PodRejected(text) | Self::Failed(text) => text,
            Self::Creating
            | Self::Recreating
            | Self::Deleting
            | Self::Initializing
            | Self::Running
            | Self::Stopping => "",
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::PodRejected(_) | Self::Failed(_))
    }
}
