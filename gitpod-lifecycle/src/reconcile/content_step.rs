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

    /// Adds to `spec` the ports that the content describes. One that somebody has exposed
    /// without a word is what the content says; who may use it stays.
    pub(super) fn describe_ports(&self, spec: &mut Spec) {
        let Self::Prepared(Ok(prepared)) = self else {
            return;
        };
        for port in &prepared.ports {
            match spec.ports.iter_mut().find(|known| known.port == port.port) {
                None => spec.ports.push(port.clone()),
                Some(known) if known.name.is_empty() && known.description.is_empty() => {
                    let visibility = known.visibility;
                    known.clone_from(port);
                    known.visibility = visibility;
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gitpod_routing::{InstanceId, Protocol, Visibility};

    use super::*;
    use crate::spec::PortSpec;

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

    #[test]
    fn content_says_what_a_port_is_and_whoever_exposed_it_who_may_use_it() {
        let port = |number: u16, name: &str, visibility| {
            let mut port = PortSpec::new(number);
            (port.name, port.visibility) = (name.to_owned(), visibility);
            port
        };
        let name = "pink-panda-ns35kd21".into();
        let mut spec = Spec::new("i1".parse().unwrap(), name, Timestamp::UNIX_EPOCH);
        spec.ports = vec![
            port(1, "", Visibility::Public),
            port(2, "mine", Visibility::Private),
        ];
        let mut described = port(1, "shop", Visibility::Private);
        described.protocol = Protocol::Https;
        let ports = vec![
            described,
            port(2, "theirs", Visibility::Public),
            port(3, "new", Visibility::Public),
        ];
        let prepared = Prepared {
            ports,
            ..Prepared::default()
        };

        ContentOutcome::Prepared(Ok(prepared)).describe_ports(&mut spec);

        let mut shop = port(1, "shop", Visibility::Public);
        shop.protocol = Protocol::Https;
        let expected = [
            shop,
            port(2, "mine", Visibility::Private),
            port(3, "new", Visibility::Public),
        ];
        assert_eq!(spec.ports, expected);
    }
}
