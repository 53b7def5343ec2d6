//! Whatever order statuses arrive in, and however often, the row obeys its rules.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use gitpod_bridge::{
    Effect, InstancePhase, InstanceRow, InstanceState, LifeEventKind, Origin, Outcome, Plan,
    StopOrigin, mark_stopped, plan,
};
use gitpod_lifecycle::{StatusUpdate, UpdateBool, UpdatePhase};
use jiff::Timestamp;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_900_000_000 + second).unwrap()
}

fn pending() -> InstanceRow {
    let workspace = "pink-panda-ns35kd21".parse().unwrap();
    InstanceRow::new("run-1".parse().unwrap(), workspace, "c1", at(0)).with_owner("u1")
}

/// Something that happens to a row.
#[derive(Clone, Debug)]
enum Step {
    Status(Box<StatusUpdate>, Origin),
    Stop(StopOrigin),
}

fn phase() -> impl Strategy<Value = UpdatePhase> {
    prop_oneof![
        Just(UpdatePhase::Unknown),
        Just(UpdatePhase::Pending),
        Just(UpdatePhase::Creating),
        Just(UpdatePhase::Initializing),
        Just(UpdatePhase::Running),
        Just(UpdatePhase::Interrupted),
        Just(UpdatePhase::Stopping),
        Just(UpdatePhase::Stopped),
    ]
}

fn status() -> impl Strategy<Value = StatusUpdate> {
    let texts = prop_oneof![Just(""), Just("oom"), Just("gone")];
    (phase(), 0..8_u64, any::<bool>(), texts).prop_map(|(phase, version, deployed, text)| {
        let mut status = StatusUpdate::new("run-1", phase);
        status.status_version = version;
        status.conditions.deployed = UpdateBool::from(deployed);
        status.conditions.failed = text.to_owned();
        status
    })
}

fn step() -> impl Strategy<Value = Step> {
    let origins = [
        StopOrigin::Inferred,
        StopOrigin::External,
        StopOrigin::Observed,
    ];
    prop_oneof![
        8 => (status(), 1..3_i64)
            .prop_map(|(status, epoch)| Step::Status(Box::new(status), Origin::new("c1").with_epoch(epoch))),
        1 => prop::sample::select(origins.to_vec()).prop_map(Step::Stop),
    ]
}

fn planned(row: &InstanceRow, step: &Step, now: Timestamp) -> Plan {
    match step {
        Step::Status(status, origin) => plan(Some(row), status, now, origin),
        Step::Stop(origin) => mark_stopped(row, now, *origin, "told so"),
    }
}

fn after(row: &InstanceRow, plan: &Plan) -> InstanceRow {
    match &plan.change {
        Some(state) => row.clone().with_state(InstanceState::clone(state)),
        None => row.clone(),
    }
}

fn ordered(row: &InstanceRow) -> bool {
    let state = &row.state;
    let times = [
        Some(row.created_at),
        state.deployed_at,
        state.started_at,
        state.stopping_at,
        state.stopped_at,
    ];
    times.iter().flatten().is_sorted()
}

fn kept<T: PartialEq + Copy>(before: Option<T>, after: Option<T>) -> bool {
    before.is_none() || before == after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// I1, I3, I4, I14: after each of any steps, with any clock.
    #[test]
    fn attack_48_rules_hold_after_each_step(steps in prop::collection::vec((step(), -50..500_i64), 1..30)) {
        let mut row = pending();
        for (step, second) in steps {
            let next = after(&row, &planned(&row, &step, at(second)));
            let order = |row: &InstanceRow| (row.state.source_epoch, row.state.status_version);
            prop_assert!(order(&next) >= order(&row), "version fell");
            if row.state.stop_origin == Some(StopOrigin::Observed) {
                prop_assert_eq!(next.state.phase, InstancePhase::Stopped, "left an observed stop");
                prop_assert_eq!(next.state.stopped_at, row.state.stopped_at, "moved a stop");
            }
            prop_assert!(kept(row.state.deployed_at, next.state.deployed_at), "deployed twice");
            prop_assert!(kept(row.state.started_at, next.state.started_at), "started twice");
            prop_assert!(ordered(&next), "times out of order: {next:?}");
            let stopped = next.state.phase == InstancePhase::Stopped;
            prop_assert_eq!(stopped, next.state.stopped_at.is_some(), "{:?}", next);
            prop_assert_eq!(stopped, next.state.stop_origin.is_some(), "{:?}", next);
            row = next;
        }
    }

    /// I15: one history, in any order and with any repetition, ends in one row.
    #[test]
    fn attack_48_any_order_ends_in_the_same_row(
        phases in prop::collection::vec(
            phase().prop_filter("says a phase", |phase| *phase != UpdatePhase::Unknown), 1..8),
        orders in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..20), 1..4),
        seed in any::<u64>(),
    ) {
        let history = history(&phases);
        let expected = end(&history);
        for order in orders {
            // All of them at least once, in some order, some more often.
            let mut shuffled: Vec<_> = order.iter().map(|index| index.get(&history).clone()).collect();
            let turn = usize::try_from(seed % 97).unwrap() % history.len();
            shuffled.extend(history.iter().cycle().skip(turn).take(history.len()).cloned());
            let end = end(&shuffled);
            prop_assert_eq!(end.phase, expected.phase);
            prop_assert_eq!(end.version, expected.version);
            prop_assert_eq!(&end.message, &expected.message);
            prop_assert_eq!(end.stops_told, expected.stops_told);
            prop_assert!(end.runs_told <= 1);
        }
    }

    /// Taking the same status twice is taking it once.
    #[test]
    fn attack_48_replaying_changes_nothing(steps in prop::collection::vec(step(), 1..15)) {
        let mut row = pending();
        for step in steps {
            row = after(&row, &planned(&row, &step, at(1)));
            let versioned = !matches!(&step, Step::Status(status, _) if status.status_version == 0);
            if versioned {
                let again = planned(&row, &step, at(2));
                prop_assert!(again.effects.is_empty(), "{again:?}");
                prop_assert_eq!(after(&row, &again).state, row.state.clone());
            }
        }
    }
}

#[test]
fn attack_48_statuses_that_are_forged_or_of_others_change_nothing() {
    let row = pending();
    let running = |id: &str| {
        let mut status = StatusUpdate::new(id, UpdatePhase::Running);
        status.status_version = 7;
        status.metadata.meta_id = "pink-panda-ns35kd21".to_owned();
        status
    };
    let decide = |status: &StatusUpdate, cluster: &str| {
        plan(Some(&row), status, at(1), &Origin::new(cluster))
    };
    // What is not forged is taken, so that there is something to lose.
    assert_eq!(decide(&running("run-1"), "c1").outcome, Outcome::Applied);
    let mut of_another_workspace = running("run-1");
    of_another_workspace.metadata.meta_id = "blue-whale-ns35kd21".to_owned();
    // The workspace of a run is what its row says, whatever a status does.
    let taken = after(&row, &decide(&of_another_workspace, "c1"));
    assert_eq!(taken.workspace_id, row.workspace_id);
    let mut late = running("run-1");
    late.status_version = u64::MAX;
    let hostile = [
        "",
        "run 1",
        "run-1\n",
        "../run-1",
        "run-1'; --",
        "RUN-1",
        "run-1\0",
    ];
    let mut cases = vec![
        (running("run-1"), "c2", Outcome::Foreign),
        (late, "c1", Outcome::Invalid),
    ];
    cases.extend(hostile.map(|id| (running(id), "c1", Outcome::Invalid)));
    for (status, cluster, outcome) in cases {
        let plan = decide(&status, cluster);
        assert_eq!(plan.outcome, outcome, "{:?}", status.id);
        assert!(plan.change.is_none() && plan.effects.is_empty(), "{plan:?}");
    }
}

/// A manager says nothing but `Stopped` after `Stopped`.
fn history(phases: &[UpdatePhase]) -> Vec<StatusUpdate> {
    let mut stopped = false;
    let numbered = (1..).zip(phases);
    let statuses = numbered.map(|(version, phase)| {
        stopped |= *phase == UpdatePhase::Stopped;
        let phase = if stopped {
            UpdatePhase::Stopped
        } else {
            *phase
        };
        let mut status = StatusUpdate::new("run-1", phase);
        status.status_version = version;
        status.message = format!("step {version}");
        status
    });
    statuses.collect()
}

struct End {
    phase: InstancePhase,
    version: i64,
    message: Option<String>,
    stops_told: usize,
    runs_told: usize,
}

fn end(statuses: &[StatusUpdate]) -> End {
    let mut row = pending();
    let mut told = Vec::new();
    for (second, status) in (1..).zip(statuses) {
        let plan = plan(Some(&row), status, at(second), &Origin::new("c1"));
        row = after(&row, &plan);
        told.extend(plan.effects.into_iter().filter_map(|effect| match effect {
            Effect::Once(event) => Some(event.kind),
            _ => None,
        }));
    }
    let count = |kind| told.iter().filter(|told| **told == kind).count();
    End {
        phase: row.state.phase,
        version: row.state.status_version,
        message: row.state.message,
        stops_told: count(LifeEventKind::WorkspaceStopped),
        runs_told: count(LifeEventKind::WorkspaceRunning),
    }
}
