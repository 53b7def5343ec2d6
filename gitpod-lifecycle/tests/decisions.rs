//! What the improved rules promise beyond the vectors: everything ends, and for
//! a stated reason.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use gitpod_lifecycle::{
    Action, Condition, ConditionType, Event, Facts, GoDuration, LookAgain, Maintenance,
    Observation, Phase, Plan, RunnerFacts, Settings, Spec, Status, Termination, Timeouts, explain,
    observe, plan, timeout,
};
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn ago(text: &str) -> Timestamp {
    let ago: GoDuration = text.parse().unwrap();
    now()
        .checked_sub(SignedDuration::from_nanos(ago.as_nanos()))
        .unwrap()
}

fn settings() -> Settings {
    let url = "http://{{ .Prefix }}.ws.localhost/".parse().unwrap();
    let port = "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost/"
        .parse()
        .unwrap();
    Settings::new(url, port)
}

fn spec() -> Spec {
    Spec::new("i1".parse().unwrap(), "w1".into(), ago("10m"))
}

fn status(phase: Phase, holds: &[ConditionType]) -> Status {
    let mut status = Status::new().with_access("http://w1.ws.localhost/", "t");
    status.phase = phase;
    status.runner_starts = 1;
    for kind in holds {
        status
            .conditions
            .set(Condition::holds(kind.clone(), ago("5m")));
    }
    status
}

fn seen(status: &Status, facts: &Facts) -> Observation {
    observe(&spec(), status, facts, &settings(), now())
}

fn planned(status: &Status, facts: &Facts) -> Plan {
    plan(&spec(), status, facts, &settings(), now())
}

#[test]
fn runner_that_vanishes_stops_its_instance_in_two_passes() {
    let running = status(
        Phase::Running,
        &[ConditionType::Deployed, ConditionType::EverReady],
    );
    let first = seen(&running, &Facts::no_runner());
    assert_eq!(first.status.phase, Phase::Stopping);
    assert_eq!(first.status.stopping_time, Some(now()));
    let told = "runner has disappeared".to_owned();
    assert_eq!(first.events, [Event::Failed(told), Event::Stopping]);
    let second = seen(&first.status, &Facts::no_runner());
    assert_eq!(second.status.phase, Phase::Stopped);
    assert_eq!(
        planned(&second.status, &Facts::no_runner()).actions,
        [Action::DropSecrets, Action::ForgetInstance]
    );
}

#[test]
fn no_runner_is_created_for_an_instance_whose_stop_was_asked_for() {
    let mut asked = status(Phase::Pending, &[ConditionType::StoppedByRequest]);
    asked.runner_starts = 0;
    assert_eq!(planned(&asked, &Facts::no_runner()).actions, []);
    assert_eq!(
        seen(&asked, &Facts::no_runner()).status.phase,
        Phase::Stopping
    );
}

#[test]
fn stopped_waits_until_the_workspace_no_longer_runs() {
    let stopping = status(
        Phase::Stopping,
        &[ConditionType::Deployed, ConditionType::Aborted],
    );
    let running = RunnerFacts::running("ws-i1", false).deleting(ago("1m"));
    let facts = Facts::one_runner(running);
    assert_eq!(seen(&stopping, &facts).status.phase, Phase::Stopping);
    let ended = RunnerFacts::ended("ws-i1", Termination::exited(143, "")).deleting(ago("1m"));
    assert_eq!(
        seen(&stopping, &Facts::one_runner(ended)).status.phase,
        Phase::Stopped
    );
}

#[test]
fn backup_that_hangs_is_given_up_after_its_time() {
    let mut stopping = status(
        Phase::Stopping,
        &[ConditionType::Deployed, ConditionType::ContentReady],
    );
    stopping.stopping_time = Some(ago("59m"));
    assert_eq!(
        seen(&stopping, &Facts::no_runner()).status.phase,
        Phase::Stopping
    );
    let again = planned(&stopping, &Facts::no_runner()).look_again;
    assert_eq!(again, LookAgain::After(Duration::from_secs(60)));
    stopping.stopping_time = Some(ago("60m"));
    let given_up = seen(&stopping, &Facts::no_runner()).status;
    assert_eq!(given_up.phase, Phase::Stopped);
    assert!(given_up.conditions.is_true(&ConditionType::BackupFailure));
}

#[test]
fn quicker_stop_shortens_the_grace_of_a_runner_that_is_being_deleted() {
    let mut stopping = status(Phase::Stopping, &[ConditionType::Deployed]);
    let mut runner = RunnerFacts::running("ws-i1", true).deleting(ago("1s"));
    runner.grace = Some(Duration::from_secs(30));
    for (asked, deleted_again) in [("1s", true), ("30s", false), ("soon", false)] {
        let stop = Condition::holds(ConditionType::StoppedByRequest, now()).saying(asked);
        stopping.conditions.set(stop);
        let actions = planned(&stopping, &Facts::one_runner(runner.clone())).actions;
        let again = Action::DeleteRunner {
            name: "ws-i1".to_owned(),
            grace: Some(Duration::from_secs(1)),
        };
        assert_eq!(actions == [again], deleted_again, "{asked}");
    }
}

#[test]
fn stop_is_never_taken_back_by_late_facts() {
    for phase in [Phase::Stopping, Phase::Stopped] {
        let ending = status(
            phase,
            &[
                ConditionType::Deployed,
                ConditionType::EverReady,
                ConditionType::ContentReady,
            ],
        );
        let late = Facts::one_runner(RunnerFacts::running("ws-i1", true));
        assert_eq!(seen(&ending, &late).status.phase, phase);
        assert!(matches!(
            planned(&ending, &late).actions[..],
            [Action::DeleteRunner { .. }]
        ));
    }
}

#[test]
fn ended_regular_workspace_has_failed_and_says_how() {
    let running = status(
        Phase::Running,
        &[ConditionType::Deployed, ConditionType::EverReady],
    );
    for (code, text) in [
        (0, "has completed"),
        (3, "exit code 3"),
        (137, "has ended by itself"),
    ] {
        let ended = RunnerFacts::ended("ws-i1", Termination::exited(code, ""));
        let after = seen(&running, &Facts::one_runner(ended)).status;
        assert_eq!(after.phase, Phase::Stopping);
        let failed = after
            .conditions
            .message_if_true(&ConditionType::Failed)
            .unwrap();
        assert!(failed.contains(text), "{failed}");
    }
}

#[test]
fn never_used_workspace_keeps_its_own_longer_timeout() {
    let mut spec = spec();
    spec.created_at = ago("2h");
    spec.timeouts.inactivity = Some(Duration::from_secs(3 * 3600));
    let running = status(Phase::Running, &[ConditionType::EverReady]);
    let fired = |spec: &Spec| timeout(spec, &running, Maintenance::Off, &settings(), now()).fired;
    assert_eq!(fired(&spec), None);
    spec.timeouts.inactivity = None;
    assert!(fired(&spec).unwrap().text.contains("period of inactivity"));
}

#[test]
fn limit_of_zero_is_no_limit() {
    let mut timeouts = Timeouts::default();
    timeouts.lifetime = Duration::ZERO;
    timeouts.inactivity = Duration::ZERO;
    let mut running = status(Phase::Running, &[ConditionType::EverReady]);
    running.last_activity = Some(ago("1000h"));
    let verdict = timeout(
        &spec(),
        &running,
        Maintenance::Off,
        &settings().with_timeouts(timeouts),
        now(),
    );
    assert_eq!((verdict.fired, verdict.deadline), (None, None));
}

#[test]
fn explanation_names_the_next_limit_and_when_it_is_reached() {
    let mut running = status(Phase::Running, &[ConditionType::EverReady]);
    running.last_activity = Some(ago("10m"));
    let why = explain(&spec(), &running, &settings(), now());
    assert_eq!(why.alive_because.unwrap(), "it was last used 10m0s ago");
    assert_eq!(why.stops_at, Some(ago("-20m")));
    assert_eq!(why.stops_because.unwrap(), "period of inactivity of 00h30m");
    running.phase = Phase::Stopped;
    assert_eq!(
        explain(&spec(), &running, &settings(), now()).alive_because,
        None
    );
}

#[test]
fn records_are_read_back_from_json() {
    let mut status = status(Phase::Running, &[ConditionType::EverReady]);
    status.last_activity = Some(now());
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    let mut spec = spec();
    spec.timeouts.lifetime = Some(Duration::from_secs(90));
    let text = serde_json::to_string(&spec).unwrap();
    assert!(text.contains(r#""lifetime":"1m30s""#), "{text}");
    assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
}
