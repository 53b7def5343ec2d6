//! Kubernetes objects read as what the core decides on. No client: give it
//! objects, whichever way they were got.
//!
//! ```text
//! Workspace (resource) → Spec, Status ─┐
//! Pod, Node            → Facts ────────┴→ observe → plan → …
//! ```
//!
//! **Source:** manager specification, sections 5, 8.4, 9, 11 and 12.

mod convert;
mod maintenance;
mod pod;
pub mod resource;

pub use self::convert::ResourceError;
pub use self::maintenance::maintenance_of;
pub use self::pod::{facts_of, is_controlled_by, node_state_of, runner_facts_of};
pub use self::resource::Workspace;

use std::collections::BTreeMap;

/// Group and version of the `Workspace` resource.
pub const API_VERSION: &str = "workspace.gitpod.io/v1";
/// Kind of the `Workspace` resource.
pub const KIND: &str = "Workspace";
/// Keeps pods and workspaces from vanishing before they are looked after.
pub const FINALIZER: &str = "gitpod.io/finalizer";
/// Label that says whose an object is.
pub const MANAGED_BY: &str = "gitpod.io/managed-by";
/// Value of [`MANAGED_BY`] on our objects, the same as the reference system's.
pub const MANAGER: &str = "ws-manager-mk2";

/// Whether an object with these labels is looked after: if it is ours, or does
/// not say whose it is.
#[must_use]
pub fn is_ours(labels: Option<&BTreeMap<String, String>>) -> bool {
    let owner = labels.and_then(|labels| labels.get(MANAGED_BY));
    owner.is_none_or(|owner| owner == MANAGER)
}

/// Whether subscribers are told of a changed resource.
///
/// As [`is_told`](crate::is_told()), but always of a resource that does not say
/// whose it is, and never of another manager's.
///
/// # Errors
///
/// [`ResourceError`] if one of the two cannot be read.
pub fn is_change_told(
    before: &Workspace,
    after: &Workspace,
    settings: &crate::Settings,
) -> Result<bool, ResourceError> {
    if !is_ours(after.metadata.labels.as_ref()) {
        return Ok(false);
    }
    let (spec, status) = (before.to_spec()?, before.to_status()?);
    let (new_spec, new_status) = (after.to_spec()?, after.to_status()?);
    let marked = after
        .metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(MANAGED_BY));
    let refused = new_status
        .conditions
        .is_true(&crate::ConditionType::PodRejected);
    if !marked {
        return Ok(!refused);
    }
    Ok(crate::is_told(
        (&spec, &status),
        (&new_spec, &new_status),
        settings,
    ))
}
