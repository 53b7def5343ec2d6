//! The same facts, seen again and again, soon change nothing more; and no facts,
//! however odd, are too much.
#![allow(clippy::unwrap_used, clippy::panic)]

use gitpod_lifecycle::{
    Condition, ConditionStatus, ConditionType, ContainerFacts, ContainerState, Facts, Maintenance,
    NodeState, Observation, Phase, Rules, RunnerFacts, RunnerPhase, Settings, Spec, Status,
    Termination, WorkspaceKind, explain, observe, plan, reason, timeout,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn settings(rules: Rules) -> Settings {
    let url = "http://{{ .Prefix }}.example/".parse().unwrap();
    let port = "http://{{ .WorkspacePort }}-{{ .Prefix }}.example/"
        .parse()
        .unwrap();
    Settings::new(url, port).with_rules(rules)
}

fn state() -> impl Strategy<Value = ContainerState> {
    let waiting = select(vec![
        "ContainerCreating",
        "ErrImagePull",
        "PodInitializing",
        "",
    ]);
    let words = select(vec![
        "",
        "bad",
        "headless task failed: x",
        "{\"message\":\"m\"}\n",
    ]);
    let ended = select(vec![
        "Error",
        "Completed",
        "OOMKilled",
        "ContainerStatusUnknown",
    ]);
    prop_oneof![
        Just(ContainerState::Unset),
        Just(ContainerState::Running),
        waiting.prop_map(|reason| ContainerState::Waiting {
            reason: reason.to_owned(),
            message: String::new()
        }),
        (select(vec![0, 1, 137, 255]), words, ended).prop_map(|(code, words, why)| {
            let mut ended = Termination::exited(code, words);
            ended.reason = why.to_owned();
            ContainerState::Terminated(ended)
        }),
    ]
}

fn container() -> impl Strategy<Value = ContainerFacts> {
    (select(vec!["workspace", "sidecar"]), state(), any::<bool>()).prop_map(
        |(name, state, ready)| {
            let mut container = ContainerFacts::new(name, state);
            container.ready = ready;
            container
        },
    )
}

fn runner() -> impl Strategy<Value = RunnerFacts> {
    let phases = vec![
        RunnerPhase::Pending,
        RunnerPhase::Running,
        RunnerPhase::Succeeded,
        RunnerPhase::Failed,
        RunnerPhase::Unknown,
        RunnerPhase::Unset,
    ];
    let reasons = select(vec!["", "Evicted", "OutOfcpu"]);
    let containers = proptest::collection::vec(container(), 0..3);
    (select(phases), any::<[bool; 3]>(), reasons, containers).prop_map(
        |(phase, [deleting, held, on_node], reason, containers)| {
            let mut runner = RunnerFacts::new("ws-i1", phase);
            runner.deleting_since = deleting.then(now);
            runner.held = held;
            runner.node = on_node.then(|| "n1".to_owned());
            runner.reason = reason.to_owned();
            runner.message = if reason.is_empty() {
                ""
            } else {
                "Pod was rejected"
            }
            .to_owned();
            runner.containers = containers;
            runner
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let nodes = vec![
        NodeState::NotKnown,
        NodeState::Present,
        NodeState::Tainted,
        NodeState::Gone,
    ];
    (
        proptest::collection::vec(runner(), 0..3),
        select(nodes),
        any::<bool>(),
    )
        .prop_map(|(runners, node, maintained)| {
            let mut facts = Facts::no_runner()
                .with_node("n1", node)
                .with_fresh_token("t");
            facts.runners = runners;
            match maintained {
                true => facts.with_maintenance(Maintenance::On),
                false => facts,
            }
        })
}

fn status() -> impl Strategy<Value = Status> {
    let names = [
        "Failed",
        "Timeout",
        "StoppedByRequest",
        "Aborted",
        "ContentReady",
        "EverReady",
        "BackupComplete",
        "BackupFailure",
        "NodeDisappeared",
        "PodRejected",
        "StateWiped",
        "Deployed",
        "Closed",
    ];
    let states = vec![
        ConditionStatus::True,
        ConditionStatus::False,
        ConditionStatus::Unknown,
    ];
    let conditions = proptest::collection::vec((select(names.to_vec()), select(states)), 0..5);
    (
        select(Phase::ALL.to_vec()),
        conditions,
        0..3_u32,
        0..5_u32,
        any::<bool>(),
    )
        .prop_map(|(phase, conditions, starts, recreated, gone)| {
            let mut status = Status::new();
            status.phase = phase;
            status.runner_starts = starts;
            status.runner_recreated = recreated;
            status.runner_deletion_time = gone.then(now);
            let conditions = conditions.into_iter().map(|(name, status)| {
                Condition::new(ConditionType::from(name), status, now())
                    .because(reason::INITIALIZATION_FAILURE)
            });
            status.conditions = conditions.collect();
            status
        })
}

fn spec(kind: WorkspaceKind) -> Spec {
    let mut spec = Spec::new("i1".parse().unwrap(), "w1".into(), now());
    spec.kind = kind;
    spec
}

fn passes(
    number: usize,
    spec: &Spec,
    status: &Status,
    facts: &Facts,
    settings: &Settings,
) -> Observation {
    let mut seen = observe(spec, status, facts, settings, now());
    for _ in 1..number {
        seen = observe(spec, &seen.status, facts, settings, now());
    }
    seen
}

proptest! {
    #[test]
    fn four_passes_over_the_same_facts_settle_everything(
        status in status(),
        facts in facts(),
        kind in select(vec![WorkspaceKind::Regular, WorkspaceKind::Prebuild, WorkspaceKind::ImageBuild]),
    ) {
        let (spec, settings) = (spec(kind), settings(Rules::Improved));
        let settled = passes(4, &spec, &status, &facts, &settings);
        let again = observe(&spec, &settled.status, &facts, &settings, now());
        prop_assert_eq!(&again.status, &settled.status);
        prop_assert_eq!(again.events, vec![]);
    }

    #[test]
    fn stopping_and_stopped_are_never_left(
        status in status(),
        facts in facts(),
        kind in select(vec![WorkspaceKind::Regular, WorkspaceKind::Prebuild]),
    ) {
        let (spec, settings) = (spec(kind), settings(Rules::Improved));
        let after = observe(&spec, &status, &facts, &settings, now()).status.phase;
        match status.phase {
            Phase::Stopped => prop_assert_eq!(after, Phase::Stopped),
            Phase::Stopping => prop_assert!(matches!(after, Phase::Stopping | Phase::Stopped)),
            _ => prop_assert!(after != Phase::Stopped, "no instance stops without stopping first"),
        }
    }

    #[test]
    fn every_question_has_an_answer_by_either_rules(
        status in status(),
        facts in facts(),
        rules in select(vec![Rules::Improved, Rules::Reference]),
    ) {
        let (spec, settings) = (spec(WorkspaceKind::Regular), settings(rules));
        let seen = observe(&spec, &status, &facts, &settings, now());
        let planned = plan(&spec, &seen.status, &facts, &settings, now());
        let names: Vec<_> = facts.runners.iter().map(|runner| runner.name.as_str()).collect();
        for action in &planned.actions {
            if let gitpod_lifecycle::Action::DeleteRunner { name, .. } = action {
                prop_assert!(names.contains(&name.as_str()));
            }
        }
        let verdict = timeout(&spec, &seen.status, facts.maintenance, &settings, now());
        let dead = explain(&spec, &seen.status, &settings, now()).alive_because.is_none();
        prop_assert_eq!(dead, seen.status.phase == Phase::Stopped);
        prop_assert!(verdict.fired.is_none(), "it was created this very moment");
    }
}
