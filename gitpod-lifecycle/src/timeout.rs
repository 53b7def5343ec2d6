//! Whether an instance has had its time.

use std::time::Duration;

use jiff::Timestamp;

/// What `timeout` decides.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The limit that is reached, if one is. To be kept as condition
    /// [`Timeout`](crate::ConditionType::Timeout), which stops the instance.
    pub fired: Option<TimedOut>,
    /// When the next limit is reached, if nothing happens before.
    pub deadline: Option<Timestamp>,
    /// When to ask again. Never, if absent: the answer is final.
    pub look_again_after: Option<Duration>,
}

/// A limit that is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TimedOut {
    /// Which limit, with what it is and how much has passed: for people.
    pub text: String,
}
