//! What the facts mean: from spec, status and facts to the next status.

use crate::event::Event;
use crate::status::Status;

/// What [`observe`](crate::observe()) finds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// The status now. To be written before anything is done about it.
    pub status: Status,
    /// What is worth telling.
    pub events: Vec<Event>,
}
