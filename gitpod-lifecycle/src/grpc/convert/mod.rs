//! Between what is on the wire and what the manager knows.

mod content;
mod initializer;
mod label;
mod number;
mod start;
mod status;

use std::collections::BTreeMap;

pub(super) use self::label::is_label;
pub(super) use self::start::{port_number, port_of, spec_of};
use super::generated::wsman;
use crate::status::publish::MetadataFilter;

/// Which instances are wanted; all if nothing is said.
pub(super) fn filter_of(wanted: Option<wsman::MetadataFilter>) -> MetadataFilter {
    let wanted = wanted.unwrap_or_default();
    MetadataFilter {
        owner: wanted.owner,
        meta_id: wanted.meta_id,
        annotations: BTreeMap::from_iter(wanted.annotations),
    }
}
