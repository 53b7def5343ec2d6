//! What to do about the content of an instance.

use crate::condition::{Condition, ConditionType, reason};
use crate::content::{ContentError, Finished, Prepared};
use crate::disposal::must_end;
use crate::phase::Phase;
use crate::spec::{Spec, WorkspaceKind};
use crate::status::Status;

use jiff::Timestamp;

/// What to do about the content of an instance next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ContentStep {
    /// Nothing; what is being done goes on.
    Nothing,
    /// Put it in place.
    Prepare,
    /// Tell the platform that it is in place.
    Announce,
    /// It is no longer wanted: end what is being done.
    GiveUp,
    /// Put it away.
    Finish,
    /// Say that nothing is left of a refused runner: all content is elsewhere.
    Wipe,
}

/// Decides it from spec and status alone.
///
/// **Source:** what the reference system's node agent does, section 16 of the
/// manager's specification.
pub(super) fn content_step(spec: &Spec, status: &Status) -> ContentStep {
    let holds = |kind| status.conditions.is_true(&kind);
    let ready = holds(ConditionType::ContentReady);
    match status.phase {
        Phase::Creating | Phase::Initializing if must_end(spec, status) => ContentStep::GiveUp,
        Phase::Creating | Phase::Initializing if ready => ContentStep::Announce,
        Phase::Creating | Phase::Initializing
            if !status.conditions.has(&ConditionType::ContentReady) =>
        {
            ContentStep::Prepare
        }
        Phase::Stopping if holds(ConditionType::WorkspaceContainerRunning) => ContentStep::GiveUp,
        Phase::Stopping if holds(ConditionType::PodRejected) => wipe(status),
        Phase::Stopping if ready && spec.kind != WorkspaceKind::ImageBuild => {
            let settled = [ConditionType::BackupComplete, ConditionType::BackupFailure];
            let given_up = [ConditionType::Aborted, ConditionType::NodeDisappeared];
            let done = settled.iter().any(|kind| status.conditions.has(kind))
                || given_up.into_iter().any(holds);
            if done {
                ContentStep::Nothing
            } else {
                ContentStep::Finish
            }
        }
        Phase::Stopping | Phase::Stopped => ContentStep::GiveUp,
        _ => ContentStep::Nothing,
    }
}

fn wipe(status: &Status) -> ContentStep {
    match status.conditions.has(&ConditionType::StateWiped) {
        true => ContentStep::Nothing,
        false => ContentStep::Wipe,
    }
}

/// What came of a step that takes time.
#[derive(Debug)]
pub(super) enum ContentOutcome {
    Prepared(Result<Prepared, ContentError>),
    Finished(Result<Finished, ContentError>),
    Wiped,
}

impl ContentOutcome {
    /// Notes it in `status`.
    pub(super) fn record(&self, status: &mut Status, now: Timestamp) {
        let condition = match self {
            Self::Prepared(Ok(prepared)) => {
                status.initializer_metrics = prepared.metrics.or(status.initializer_metrics);
                Condition::holds(ConditionType::ContentReady, now)
                    .because(reason::INITIALIZATION_SUCCESS)
            }
            Self::Prepared(Err(why)) => Condition::fails(ConditionType::ContentReady, now)
                .because(reason::INITIALIZATION_FAILURE)
                .saying(why.whole_text()),
            Self::Finished(Ok(finished)) => {
                status.snapshot = finished.snapshot.clone().or(status.snapshot.take());
                status.git = finished.git.clone().or(status.git.take());
                Condition::holds(ConditionType::BackupComplete, now)
                    .because(reason::BACKUP_COMPLETE)
            }
            Self::Finished(Err(why)) => Condition::holds(ConditionType::BackupFailure, now)
                .because(reason::BACKUP_FAILED)
                .saying(why.whole_text()),
            Self::Wiped => Condition::holds(ConditionType::StateWiped, now),
        };
        status.conditions.set(condition);
    }

    /// Adds to `spec` the ports that the content describes and nobody else has.
    pub(super) fn describe_ports(&self, spec: &mut Spec) {
        let Self::Prepared(Ok(prepared)) = self else {
            return;
        };
        for port in &prepared.ports {
            if spec.ports.iter().all(|known| known.port != port.port) {
                spec.ports.push(port.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gitpod_routing::InstanceId;

    use super::*;

    fn step(phase: Phase, conditions: &[(ConditionType, bool)]) -> ContentStep {
        let instance: InstanceId = "i1".parse().unwrap();
        let spec = Spec::new(
            instance,
            "pink-panda-ns35kd21".into(),
            Timestamp::UNIX_EPOCH,
        );
        let mut status = Status::new();
        status.phase = phase;
        for (kind, holds) in conditions {
            let make = if *holds {
                Condition::holds
            } else {
                Condition::fails
            };
            status
                .conditions
                .set(make(kind.clone(), Timestamp::UNIX_EPOCH));
        }
        content_step(&spec, &status)
    }

    #[test]
    fn content_is_prepared_once_and_put_away_once_nothing_runs() {
        use ConditionType::*;
        use ContentStep::*;
        let ready = (ContentReady, true);
        for (phase, conditions, expected) in [
            (Phase::Pending, vec![], Nothing),
            (Phase::Creating, vec![], Prepare),
            (Phase::Initializing, vec![], Prepare),
            (Phase::Initializing, vec![ready.clone()], Announce),
            (Phase::Initializing, vec![(ContentReady, false)], Nothing), // failed: never again
            (Phase::Initializing, vec![(StoppedByRequest, true)], GiveUp),
            (Phase::Running, vec![ready.clone()], Nothing),
            (Phase::Stopping, vec![], GiveUp),
            (
                Phase::Stopping,
                vec![ready.clone(), (WorkspaceContainerRunning, true)],
                GiveUp,
            ),
            (
                Phase::Stopping,
                vec![ready.clone(), (WorkspaceContainerRunning, false)],
                Finish,
            ),
            (
                Phase::Stopping,
                vec![ready.clone(), (BackupComplete, true)],
                Nothing,
            ),
            (
                Phase::Stopping,
                vec![ready.clone(), (BackupFailure, true)],
                Nothing,
            ),
            (Phase::Stopping, vec![ready, (Aborted, true)], Nothing),
            (Phase::Stopping, vec![(PodRejected, true)], Wipe),
            (
                Phase::Stopping,
                vec![(PodRejected, true), (StateWiped, true)],
                Nothing,
            ),
            (Phase::Stopped, vec![], GiveUp),
        ] {
            assert_eq!(step(phase, &conditions), expected, "{phase} {conditions:?}");
        }
    }
}
