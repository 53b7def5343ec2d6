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

use self::resource::WorkspaceStatus;

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

/// Whether subscribers are told of a resource that was created (`before` is
/// absent) or changed.
///
/// Never of another manager's, and not while a refused pod is replaced. Of ours
/// when it is created, when its ports change, or its status does in more than
/// who used it when; of one that does not say whose it is, always. Under
/// [`Rules::Improved`](crate::Rules::Improved) also of every other change that
/// shows; see [`is_told`](crate::is_told()).
///
/// # Errors
///
/// [`ResourceError`] if one of the two cannot be read.
///
/// **Source:** manager specification, section 12, *Publishing*.
pub fn is_change_told(
    before: Option<&Workspace>,
    after: &Workspace,
    settings: &crate::Settings,
) -> Result<bool, ResourceError> {
    let refused = after
        .status
        .conditions
        .is_true(&crate::ConditionType::PodRejected);
    if refused || !is_ours(after.metadata.labels.as_ref()) {
        return Ok(false);
    }
    let labels = after.metadata.labels.as_ref();
    let marked = labels.is_some_and(|labels| labels.contains_key(MANAGED_BY));
    let Some(before) = before.filter(|_| marked) else {
        return Ok(true);
    };
    let without_activity = |workspace: &Workspace| WorkspaceStatus {
        last_activity: None,
        ..workspace.status.clone()
    };
    if before.spec.ports != after.spec.ports || without_activity(before) != without_activity(after)
    {
        return Ok(true);
    }
    let (spec, status) = (before.to_spec()?, before.to_status()?);
    let (new_spec, new_status) = (after.to_spec()?, after.to_status()?);
    Ok(crate::is_told(
        (&spec, &status),
        (&new_spec, &new_status),
        settings,
    ))
}
