//! What is to be done with the row of a prebuild.

use gitpod_lifecycle::{StatusUpdate, UpdateKind};

use super::{DecidedWhen, PrebuildRow, PrebuildState, PrebuildUpdate, map_prebuild};
use crate::map::{Freshness, Origin, StatusOrder};
use crate::publish::Announcement;

/// What is to be done with the row of a prebuild, in the transaction of its instance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrebuildPlan {
    /// What became of the status.
    pub outcome: PrebuildOutcome,
    /// The row to write; `None` leaves it as it is.
    pub change: Option<PrebuildRow>,
    /// What to tell.
    pub announcements: Vec<Announcement>,
    /// The state that it ended in, if it ended with this.
    pub completed: Option<PrebuildState>,
}

/// What became of a status, as far as a prebuild is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PrebuildOutcome {
    /// The workspace builds no prebuild.
    NotPrebuild,
    /// There is no row.
    NoPrebuild,
    /// The row has taken it, or a newer one.
    Stale,
    /// It says nothing that counts; its version was noted.
    Ignored,
    /// It was taken.
    Updated,
    /// The prebuild was given up.
    Aborted,
    /// The prebuild had ended before.
    Kept,
}

impl PrebuildOutcome {
    /// Its name, in lowercase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPrebuild => "not_prebuild",
            Self::NoPrebuild => "no_prebuild",
            Self::Stale => "stale",
            Self::Ignored => "ignored",
            Self::Updated => "updated",
            Self::Aborted => "aborted",
            Self::Kept => "kept",
        }
    }
}

impl PrebuildPlan {
    fn nothing(outcome: PrebuildOutcome) -> Self {
        Self {
            outcome,
            change: None,
            announcements: Vec::new(),
            completed: None,
        }
    }

    fn changing(outcome: PrebuildOutcome, row: PrebuildRow) -> Self {
        Self {
            change: Some(row),
            ..Self::nothing(outcome)
        }
    }
}

/// What `status` changes in the prebuild that is built in its workspace.
///
/// A prebuild that has ended is never queued or building again. What is told of
/// the workspace is told when the state changes, not with each status.
#[must_use]
pub fn plan_prebuild(
    row: Option<&PrebuildRow>,
    status: &StatusUpdate,
    decided: DecidedWhen,
    origin: &Origin,
) -> PrebuildPlan {
    if status.spec.kind != UpdateKind::Prebuild {
        return PrebuildPlan::nothing(PrebuildOutcome::NotPrebuild);
    }
    let Some(row) = row else {
        return PrebuildPlan::nothing(PrebuildOutcome::NoPrebuild);
    };
    // A version that no row can hold cannot be told from an older one.
    let Ok(version) = i64::try_from(status.status_version) else {
        return PrebuildPlan::nothing(PrebuildOutcome::Stale);
    };
    let stored = StatusOrder::new(row.source_epoch, row.status_version);
    if StatusOrder::new(origin.epoch, version).against(stored) != Freshness::Newer {
        return PrebuildPlan::nothing(PrebuildOutcome::Stale);
    }
    let mut noted = row.clone();
    noted.source_epoch = origin.epoch;
    noted.status_version = version;
    let update = map_prebuild(decided, status.phase, &status.conditions);
    let goes_back =
        |update: &PrebuildUpdate| row.state.is_finished() && !update.state.is_finished();
    match update.filter(|update| !goes_back(update)) {
        None => PrebuildPlan::changing(PrebuildOutcome::Ignored, noted),
        Some(update) => updated(noted, update),
    }
}

fn updated(mut row: PrebuildRow, update: PrebuildUpdate) -> PrebuildPlan {
    let changed = row.state != update.state;
    row.state = update.state;
    if let Some(snapshot) = update.snapshot {
        row.snapshot = Some(snapshot).filter(|snapshot| !snapshot.is_empty());
    }
    if let Some(error) = update.error {
        row.error = Some(shortened(error)).filter(|error| !error.is_empty());
    }
    let headless = changed.then(|| Announcement::Headless {
        event: update.event,
        workspace_id: row.build_workspace_id.clone(),
    });
    PrebuildPlan {
        outcome: PrebuildOutcome::Updated,
        announcements: headless.into_iter().chain(told(&row)).collect(),
        completed: (changed && row.state.is_finished()).then_some(row.state),
        change: Some(row),
    }
}

/// Gives a prebuild up whose instance is gone. One that has ended stays as it is.
#[must_use]
pub fn stop_prebuild(row: &PrebuildRow) -> PrebuildPlan {
    if row.state.is_finished() {
        return PrebuildPlan::nothing(PrebuildOutcome::Kept);
    }
    let mut row = row.clone();
    row.state = PrebuildState::Aborted;
    PrebuildPlan {
        announcements: told(&row).into_iter().collect(),
        ..PrebuildPlan::changing(PrebuildOutcome::Aborted, row)
    }
}

fn told(row: &PrebuildRow) -> Option<Announcement> {
    let audience = row.audience.as_ref()?;
    Some(Announcement::Prebuild {
        project_id: row.project_id.clone().unwrap_or_default(),
        prebuild_id: row.id.clone(),
        state: row.state,
        workspace_id: row.build_workspace_id.clone(),
        organization_id: audience.organization_id.clone(),
    })
}

/// As much of a text as fits into its column.
fn shortened(error: String) -> String {
    if error.chars().count() <= ERROR_LENGTH {
        return error;
    }
    let kept = error.chars().take(ERROR_LENGTH - 1);
    kept.chain(['…']).collect()
}

/// Characters; long enough for the last lines of a task.
const ERROR_LENGTH: usize = 4096;

#[cfg(test)]
mod tests {
    use gitpod_lifecycle::UpdatePhase;

    use super::*;

    #[test]
    fn text_that_is_too_long_is_cut_between_characters() {
        let long = "ü".repeat(5000);
        let cut = shortened(long);
        assert_eq!(cut.chars().count(), ERROR_LENGTH);
        assert!(cut.ends_with("ü…"));
        assert_eq!(shortened("short".to_owned()), "short");
    }

    #[test]
    fn nobody_is_told_of_a_prebuild_without_audience() {
        let workspace = "pink-panda-ns35kd21".parse().unwrap();
        let row = PrebuildRow::new("p1", workspace);
        assert_eq!(stop_prebuild(&row).announcements, []);
        let mut status = StatusUpdate::new("run-1", UpdatePhase::Running);
        status.spec.kind = UpdateKind::Prebuild;
        let plan = plan_prebuild(
            Some(&row),
            &status,
            DecidedWhen::Stopping,
            &Origin::new("c1"),
        );
        assert_eq!(plan.announcements.len(), 1, "{plan:?}");
    }
}
