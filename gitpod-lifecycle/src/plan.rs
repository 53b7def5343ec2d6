//! What to do about it: from spec, status and facts to actions.

use std::time::Duration;

use crate::event::Event;
use crate::status::Status;

/// What `plan` decides: what to do, in this order, and when to look again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What to do, in order. The first that fails ends the pass.
    pub actions: Vec<Action>,
    /// When to look again, if nothing changes before.
    pub look_again: LookAgain,
}

/// Something to be done on the platform or to the record of an instance.
///
/// Each may be repeated without harm, and may be left out when the process ends
/// in between: the next pass finds what is missing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Create a runner of this name.
    ///
    /// When it was created, store `when_created` as the status and tell
    /// [`Event::Creating`]; when it existed already, do neither.
    CreateRunner {
        /// What to call it.
        name: String,
        /// The status, with one more runner counted.
        when_created: Box<Status>,
    },
    /// Delete the runner of this name. That it is gone already is no failure.
    DeleteRunner {
        /// Which one.
        name: String,
        /// How long it has to end by itself. Its platform's default if absent.
        grace: Option<Duration>,
    },
    /// No longer keep the runner of this name, which is deleted, from vanishing.
    ReleaseRunner {
        /// Which one.
        name: String,
    },
    /// Forget what was only needed to start: secrets of environment and content.
    DropSecrets,
    /// Store this status, in which something has been taken back.
    StoreStatus {
        /// The status.
        status: Box<Status>,
        /// What to tell once that is done.
        event: Option<Event>,
    },
    /// Nothing is left of it: let its record go, and tell [`Event::Deleting`].
    ForgetInstance,
}

/// When to look again, if nothing changes before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LookAgain {
    /// When something changes.
    WhenChanged,
    /// Soon: what was done has consequences that are not seen yet.
    Soon,
    /// After this time.
    After(Duration),
}
