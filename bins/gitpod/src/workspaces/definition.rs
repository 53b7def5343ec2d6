//! What is needed to start a workspace again.

use std::fmt;
use std::num::NonZeroU32;

use gitpod_bridge::Workspace;
use serde::{Deserialize, Serialize};

use crate::cli::Checkout;
use crate::local::Repository;

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
            timeout: None,
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
            timeout: None,
        }
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
