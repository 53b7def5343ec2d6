//! What is counted, under the names of the reference bridge.

use metrics::{counter, histogram};

use crate::effect::Measure;
use crate::plan::{Outcome, Plan};

/// A delivery was looked at.
pub(crate) fn update_started(cluster: &str, kind: &'static str) {
    counter!(
        "gitpod_ws_manager_bridge_workspace_instance_update_started_total",
        "workspace_cluster" => cluster.to_owned(),
        "workspace_instance_type" => kind,
    )
    .increment(1);
}

/// A delivery was dealt with, after `seconds`.
pub(crate) fn update_completed(cluster: &str, kind: &'static str, ended: Ended, seconds: f64) {
    histogram!(
        "gitpod_ws_manager_bridge_workspace_instance_update_completed_seconds",
        "workspace_cluster" => cluster.to_owned(),
        "workspace_instance_type" => kind,
        "outcome" => ended.as_str(),
    )
    .record(seconds);
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Success,
    Skipped,
    Error,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }

    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied | Outcome::MarkedStopped => Self::Success,
            _ => Self::Skipped,
        }
    }
}

/// A plan was committed.
pub(crate) fn committed(plan: &Plan, cluster: &str) {
    match plan.outcome {
        Outcome::Invalid => return,
        Outcome::UnknownInstance => status_update(cluster, "false"),
        _ => status_update(cluster, "true"),
    }
    match plan.outcome {
        Outcome::Stale => {
            counter!("gitpod_ws_manager_bridge_stale_status_updates_total").increment(1)
        }
        Outcome::Terminal => {
            counter!("gitpod_ws_manager_bridge_anomalies_total", "kind" => "status_after_stop")
                .increment(1);
        }
        _ => {}
    }
    for measure in &plan.measures {
        self::measure(*measure, cluster);
    }
}

fn status_update(cluster: &str, known: &'static str) {
    counter!(
        "gitpod_ws_manager_bridge_status_updates_total",
        "workspace_cluster" => cluster.to_owned(),
        "known_instance" => known,
    )
    .increment(1);
}

/// One measure of a plan that was committed.
pub(crate) fn measure(measure: Measure, cluster: &str) {
    let region = cluster.to_owned();
    match measure {
        Measure::StartupTime { after, image_built } => {
            let built = if image_built { "true" } else { "false" };
            histogram!("workspace_startup_time", "neededImageBuild" => built, "region" => region)
                .record(after.as_secs_f64());
        }
        Measure::FirstUse(after) => {
            histogram!("first_user_activity_time", "region" => region).record(after.as_secs_f64());
        }
        Measure::Revived => {
            counter!("gitpod_ws_manager_bridge_anomalies_total", "kind" => "revived").increment(1);
        }
        Measure::MarkedStopped(phase) => {
            counter!("gitpod_ws_instances_marked_stopped_total", "previous_phase" => phase.as_str())
                .increment(1);
        }
    }
}

/// An announcement was published, or not.
pub(crate) fn published(kind: &'static str, failed: bool) {
    let error = if failed { "true" } else { "false" };
    counter!("gitpod_redis_updates_published_total", "type" => kind, "error" => error).increment(1);
}

/// What the messages of `channel` are about.
pub(crate) fn kind_of(channel: &str) -> &'static str {
    match channel {
        crate::CHANNEL_INSTANCES => "workspace-instances",
        crate::CHANNEL_PREBUILDS => "prebuild",
        crate::CHANNEL_HEADLESS => "headless",
        crate::CHANNEL_EVENTS => "event",
        _ => "other",
    }
}
