//! What is needed to start a workspace again.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use gitpod_bridge::Workspace;
use gitpod_lifecycle::GoDuration;
use serde::{Deserialize, Serialize};

use super::former::Former;
use crate::cli::{Checkout, PortVisibility, Wake};
use crate::local::Repository;
use crate::print;

/// How a workspace was asked for, kept with it.
///
/// Unknown keys are ignored, so that an older version can read what a newer one
/// wrote.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Definition {
    /// A URL, or an absolute path.
    pub(crate) location: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) depth: Option<NonZeroU32>,
    /// Go duration without use after which it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<String>,
    /// Who has it started by coming to it while it is stopped.
    #[serde(default)]
    pub(crate) wake: Wake,
    /// Who may use which port, whatever `.gitpod.yml` says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) ports: BTreeMap<u16, PortVisibility>,
    /// Earlier runs whose owner is still known by their token, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former: Vec<Former>,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand, so that credentials in the location are not shown.
        f.debug_struct("Definition").finish_non_exhaustive()
    }
}

impl From<Repository> for Definition {
    fn from(from: Repository) -> Self {
        Self {
            location: from.location,
            branch: (!from.branch.is_empty()).then_some(from.branch),
            depth: NonZeroU32::new(from.depth),
            ..Self::default()
        }
    }
}

impl Definition {
    /// The repository at `location`, checked out as `checkout` says.
    pub(crate) fn new(location: String, checkout: Checkout) -> Self {
        Self {
            location,
            branch: checkout.branch,
            depth: checkout.depth.and_then(NonZeroU32::new),
            ..Self::default()
        }
    }

    /// After how long without use it stops, as people write it, if `other` holds for those
    /// that say nothing.
    pub(super) fn timeout_or(&self, other: Duration) -> String {
        let own = self.timeout.as_deref().and_then(|text| text.parse().ok());
        print::duration(own.unwrap_or(GoDuration::from(other)))
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// How `workspace` was asked for.
pub(super) fn of(workspace: &Workspace) -> Definition {
    serde_json::from_value(workspace.definition.clone()).unwrap_or_else(|why| {
        // Its location is kept beside it, and is all that is needed.
        tracing::warn!(workspace = %workspace.id, %why, "definition is not readable");
        Definition {
            location: workspace.context_url.clone(),
            ..Definition::default()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_read_back_also_by_and_from_other_versions() {
        let mut definition = Definition::new("/srv/x".to_owned(), Checkout::default());
        definition.ports.insert(3000, PortVisibility::Public);
        let mut json = definition.to_json();
        json["of_a_later_version"] = 1.into();
        let read: Definition = serde_json::from_value(json).unwrap();
        assert_eq!(read, definition);
        let early = serde_json::json!({"location": "/srv/x"});
        let read: Definition = serde_json::from_value(early).unwrap();
        assert!(read.ports.is_empty());
    }

    #[test]
    fn timeout_is_told_as_people_write_it() {
        let mut definition = Definition::default();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(definition.timeout_or(minutes(120)), "2h");
        definition.timeout = Some("5400s".to_owned());
        assert_eq!(definition.timeout_or(minutes(1)), "1h30m");
    }
}
