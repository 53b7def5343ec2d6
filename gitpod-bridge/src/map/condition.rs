//! Conditions: what the status says, over what was known.

use gitpod_lifecycle::{UpdateBool, UpdateConditions};

use super::time::milliseconds;
use crate::record::InstanceConditions;

/// What is known after `said`, when `known` was known before.
///
/// The texts of a failure and of a timeout, and the time of the first use, stay
/// once they are known: a status that lacks them does not take them back.
pub(crate) fn conditions(
    known: &InstanceConditions,
    said: &UpdateConditions,
) -> InstanceConditions {
    let first_use = said.first_user_activity.map(milliseconds);
    InstanceConditions {
        failed: stated(&said.failed).or_else(|| known.failed.clone()),
        timeout: stated(&said.timeout).or_else(|| known.timeout.clone()),
        pulling_images: tri_state(said.pulling_images),
        deployed: tri_state(said.deployed),
        stopped_by_request: tri_state(said.stopped_by_request),
        first_user_activity: known.first_user_activity.or(first_use),
        headless_task_failed: stated(&said.headless_task_failed),
    }
}

/// The text, unless it is empty.
pub(crate) fn stated(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn tri_state(said: UpdateBool) -> Option<bool> {
    match said {
        UpdateBool::True => Some(true),
        UpdateBool::False => Some(false),
        _ => None,
    }
}
