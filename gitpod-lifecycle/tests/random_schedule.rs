//! Whatever happens in whichever order, an instance ends up where it should.
//!
//! A small cluster is kept in memory. Events are lost, repeated and reordered;
//! facts come late; writes are refused; and the actor that looks after the
//! instance is killed between any two of its actions. When that is over, an
//! instance that has to end is gone without a trace, any other one runs, and each
//! stop was recorded once.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use gitpod_lifecycle::{
    Action, Condition, ConditionType, Facts, LookAgain, Maintenance, NodeState, Phase, Rules,
    Settings, Spec, Status, observe, plan, reason, timeout,
};
use jiff::{SignedDuration, Timestamp};

const SCHEDULES: u64 = 3_000;

#[test]
fn attack_49_every_schedule_ends_where_it_should() {
    for seed in 0..SCHEDULES {
        if let Err(why) = World::new(seed, Rules::Improved).run() {
            panic!("schedule {seed}: {why}");
        }
    }
}

/// Shows that the test above can fail: the reference system is known to get stuck.
#[test]
fn rules_of_the_reference_system_get_stuck_in_some_schedules() {
    let stuck = (0..SCHEDULES).filter(|seed| World::new(*seed, Rules::Reference).run().is_err());
    assert!(stuck.count() > 100);
}

#[path = "random_schedule/runner.rs"]
mod runner;

use runner::{Dice, Runner, State};

/// Ends a pass: the actor was killed, or a write of it was refused.
struct Killed;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fate {
    /// It has to run in the end.
    Runs,
    /// It depends on what the actor was shown.
    Either,
    /// It has to end.
    Ends,
}

/// The cluster, the record of one instance, and what was seen to happen.
struct World {
    dice: Dice,
    now: Timestamp,
    settings: Settings,
    spec: Spec,
    /// `None` once it is forgotten.
    status: Option<Status>,
    runner: Option<Runner>,
    /// What the actor was shown last.
    shown: Option<Runner>,
    node_is_gone: bool,
    /// Whoever puts content away does not answer.
    backup_hangs: bool,
    /// A runner takes no notice of its deletion until then.
    hangs_until: Option<Timestamp>,
    refusals: u32,
    /// What may become of the instance.
    fate: Fate,
    /// Whether misfortunes happen.
    calm: bool,
    /// Phases as they were recorded.
    recorded: Vec<Phase>,
    broken: Option<String>,
}

impl World {
    fn new(seed: u64, rules: Rules) -> Self {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let url = "http://{{ .Prefix }}.example/".parse().unwrap();
        let ports = "http://{{ .WorkspacePort }}-{{ .Prefix }}.example/"
            .parse()
            .unwrap();
        Self {
            dice: Dice(seed),
            now,
            settings: Settings::new(url, ports).with_rules(rules),
            spec: Spec::new("i1".parse().unwrap(), "w1".into(), now),
            status: Some(Status::new()),
            runner: None,
            shown: None,
            node_is_gone: false,
            backup_hangs: false,
            hangs_until: None,
            refusals: 0,
            fate: Fate::Runs,
            calm: false,
            recorded: Vec::new(),
            broken: None,
        }
    }

    fn run(mut self) -> Result<(), String> {
        let length = 20 + self.dice.below(80);
        for _ in 0..length {
            match self.dice.below(8) {
                0 | 1 => self.others_go_on(),
                2 => self.misfortune(),
                3 if self.dice.one_in(3) => self.somebody_asks(),
                3 | 4 => {
                    let seconds = self.dice.below(20);
                    self.wait(Duration::from_secs(seconds));
                }
                // An event of which nobody hears is one of the others.
                _ => self.passes(),
            }
        }
        self.calm_down()
    }

    /// From now on everything works, and enough time passes for everything.
    fn calm_down(&mut self) -> Result<(), String> {
        self.calm = true;
        self.shown.clone_from(&self.runner);
        let mut running = 0;
        for _ in 0..1_000 {
            self.others_go_on();
            self.note_use();
            let wait = self.pass().unwrap_or(Duration::ZERO);
            if let Some(why) = self.broken.take() {
                return Err(why);
            }
            match &self.status {
                None => return self.end(),
                Some(status) if status.phase == Phase::Running => running += 1,
                Some(_) => running = 0,
            }
            if running > 20 && self.fate != Fate::Ends {
                return Ok(());
            }
            self.wait(wait.max(Duration::from_secs(1)));
        }
        let phase = self.status.as_ref().map(|status| status.phase);
        Err(format!(
            "is {phase:?} for ever, fate {:?}, after {:?}",
            self.fate, self.recorded
        ))
    }

    /// Checks what is left when the instance is forgotten.
    fn end(&self) -> Result<(), String> {
        let times = |phase| {
            self.recorded
                .iter()
                .filter(|known| **known == phase)
                .count()
        };
        let tries = usize::try_from(self.refusals).unwrap_or(0);
        if self.fate == Fate::Runs {
            return Err(format!("has ended for no reason: {:?}", self.recorded));
        }
        if self.runner.is_some() {
            return Err("was forgotten though its runner exists".to_owned());
        }
        // A refused runner is a try that failed; it stops and starts over.
        if !(1..=1 + tries).contains(&times(Phase::Stopped)) || times(Phase::Stopping) > 1 + tries {
            return Err(format!("has stopped more than once: {:?}", self.recorded));
        }
        Ok(())
    }

    /// The actor hears of something, perhaps twice; it may die over it and come back.
    fn passes(&mut self) {
        for _ in 0..=self.dice.below(2) {
            if self.pass().is_err() {
                // Who starts anew reads everything anew.
                self.shown.clone_from(&self.runner);
            }
        }
    }

    /// One pass of the actor. Tells when to look again.
    fn pass(&mut self) -> Result<Duration, Killed> {
        let Some(before) = self.status.clone() else {
            return Ok(Duration::MAX);
        };
        let facts = self.facts();
        let seen = observe(&self.spec, &before, &facts, &self.settings, self.now);
        let mut status = seen.status;
        let verdict = timeout(
            &self.spec,
            &status,
            Maintenance::Off,
            &self.settings,
            self.now,
        );
        if let Some(fired) = verdict.fired {
            fired.record(&mut status, self.now);
            self.fate = Fate::Ends;
        }
        self.write(&status)?;
        let plan = plan(&self.spec, &status, &facts, &self.settings, self.now);
        for action in plan.actions {
            self.may_die()?;
            self.act(action)?;
        }
        let again = verdict.look_again_after.unwrap_or(Duration::from_secs(60));
        Ok(match plan.look_again {
            LookAgain::Soon => Duration::ZERO,
            LookAgain::After(wait) => wait.min(Duration::from_secs(3_600)),
            _ => again,
        })
    }

    fn facts(&mut self) -> Facts {
        if self.calm || self.dice.one_in(2) {
            self.shown.clone_from(&self.runner);
        }
        let node = if self.node_is_gone {
            NodeState::Gone
        } else {
            NodeState::Present
        };
        let facts = match &self.shown {
            Some(runner) => Facts::one_runner(runner.facts()),
            None => Facts::no_runner(),
        };
        facts.with_node("n1", node).with_fresh_token("t")
    }

    fn write(&mut self, status: &Status) -> Result<(), Killed> {
        self.may_die()?; // or somebody else wrote in between
        let Some(known) = &mut self.status else {
            return Err(Killed);
        };
        let (from, to) = (known.phase, status.phase);
        known.clone_from(status);
        if from != to {
            self.recorded.push(to);
            self.check_transition(from, to);
        }
        self.may_die()
    }

    fn check_transition(&mut self, from: Phase, to: Phase) {
        let starts_over = self
            .status
            .as_ref()
            .is_some_and(|status| status.runner_recreated > 0);
        let back = match from {
            Phase::Stopping => to != Phase::Stopped,
            Phase::Stopped => !(starts_over && to == Phase::Pending),
            _ => false,
        };
        let serves = self
            .runner
            .as_ref()
            .is_some_and(|runner| matches!(runner.state, State::Serving { .. }));
        let excused = self.node_is_gone || self.hangs_until.is_some();
        if back {
            self.broken = Some(format!("went from {from} back to {to}"));
        } else if to == Phase::Stopped && serves && !excused {
            self.broken = Some("is Stopped though its workspace runs".to_owned());
        }
    }

    fn act(&mut self, action: Action) -> Result<(), Killed> {
        match action {
            Action::CreateRunner { name, when_created } => self.create(name, &when_created),
            Action::DeleteRunner { .. } => {
                let now = self.now;
                if let Some(runner) = &mut self.runner {
                    runner.deleting.get_or_insert(now);
                }
                Ok(())
            }
            Action::ReleaseRunner { .. } => {
                if let Some(runner) = &mut self.runner {
                    runner.held = false;
                }
                Ok(())
            }
            Action::StoreStatus { status, .. } => self.write(&status),
            Action::ForgetInstance => {
                self.status = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn create(&mut self, name: String, when_created: &Status) -> Result<(), Killed> {
        if self.runner.is_some() {
            return Ok(());
        }
        if self.recorded.last() == Some(&Phase::Stopped) {
            self.broken = Some("a runner was created for what has stopped".to_owned());
        }
        let runner = Runner {
            name,
            state: State::Waiting,
            deleting: None,
            held: true,
        };
        self.runner = Some(runner);
        self.shown.clone_from(&self.runner);
        self.may_die()?;
        self.write(when_created)
    }

    fn may_die(&mut self) -> Result<(), Killed> {
        match !self.calm && self.dice.one_in(6) {
            true => Err(Killed),
            false => Ok(()),
        }
    }

    /// The platform and whoever keeps the content do what they have to.
    fn others_go_on(&mut self) {
        let hangs = self.hangs_until.is_some_and(|until| self.now < until);
        let has_content = self.holds(&ConditionType::ContentReady);
        if let Some(runner) = &mut self.runner {
            match (runner.state, runner.deleting) {
                (State::Serving { .. } | State::Waiting, Some(_)) if !hangs => {
                    runner.state = State::Ended { code: 0 };
                }
                (State::Waiting, None) => runner.state = State::Serving { ready: false },
                (State::Serving { .. }, None) => {
                    runner.state = State::Serving { ready: has_content }
                }
                _ => {}
            }
            let still_there = matches!(runner.state, State::Serving { .. }) && !self.node_is_gone;
            if runner.deleting.is_some() && !runner.held && !still_there {
                self.runner = None;
            }
        }
        self.keep_content();
    }

    fn keep_content(&mut self) {
        let Some(phase) = self.status.as_ref().map(|status| status.phase) else {
            return;
        };
        let container_runs = self.holds(&ConditionType::WorkspaceContainerRunning);
        let starting = matches!(phase, Phase::Creating | Phase::Initializing);
        if starting && !self.has(&ConditionType::ContentReady) {
            let fails = !self.calm && self.dice.one_in(10);
            if fails {
                self.harm();
            }
            let ready = match fails {
                true => Condition::fails(ConditionType::ContentReady, self.now)
                    .because(reason::INITIALIZATION_FAILURE),
                false => Condition::holds(ConditionType::ContentReady, self.now),
            };
            return self.note(ready);
        }
        if phase != Phase::Stopping || container_runs || self.backup_hangs || self.node_is_gone {
            return;
        }
        if self.holds(&ConditionType::PodRejected) {
            self.note(Condition::holds(ConditionType::StateWiped, self.now));
        } else if self.holds(&ConditionType::ContentReady)
            && !self.has(&ConditionType::BackupFailure)
        {
            self.note(Condition::holds(ConditionType::BackupComplete, self.now));
        }
    }

    fn misfortune(&mut self) {
        let Some(runner) = &mut self.runner else {
            return;
        };
        match self.dice.below(12) {
            0 if matches!(runner.state, State::Serving { .. }) => {
                runner.state = State::Ended {
                    code: self.dice.code(),
                };
                self.harm();
            }
            1 => {
                // Removed by force, whoever wanted to keep it.
                self.runner = None;
                match self.has(&ConditionType::Deployed) {
                    true => self.harm(),
                    false => self.fate = self.fate.max(Fate::Either),
                }
            }
            2 if runner.state == State::Waiting && self.refusals < 2 => {
                runner.state = State::Refused;
                self.refusals += 1;
            }
            3 => {
                self.node_is_gone = true;
                self.harm();
            }
            4 => self.backup_hangs = true,
            5 => self.hangs_until = self.now.checked_add(SignedDuration::from_mins(90)).ok(),
            _ => {}
        }
    }

    fn somebody_asks(&mut self) {
        if self.status.is_none() {
            return;
        }
        let stop = |grace: &str, now| {
            Condition::holds(ConditionType::StoppedByRequest, now)
                .because(reason::STOP_WORKSPACE_REQUEST)
                .saying(grace)
        };
        self.fate = Fate::Ends;
        match self.dice.below(4) {
            0 => self.spec.deletion_requested_at = Some(self.now),
            1 => {
                self.note(Condition::holds(ConditionType::Aborted, self.now));
                self.note(stop("1s", self.now));
            }
            2 => self.note(stop("30s", self.now)),
            _ => self.note(stop("1s", self.now)),
        }
    }

    /// Something happened that an instance does not survive, unless it starts
    /// over because its runner was refused before.
    fn harm(&mut self) {
        let fate = if self.refusals > 0 {
            Fate::Either
        } else {
            Fate::Ends
        };
        self.fate = self.fate.max(fate);
    }

    fn note_use(&mut self) {
        let now = self.now;
        if let Some(status) = &mut self.status {
            status.last_activity = Some(now);
        }
    }

    fn note(&mut self, condition: Condition) {
        if let Some(status) = &mut self.status {
            status.conditions.set(condition);
        }
    }

    fn holds(&self, kind: &ConditionType) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.conditions.is_true(kind))
    }

    fn has(&self, kind: &ConditionType) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.conditions.has(kind))
    }

    fn wait(&mut self, length: Duration) {
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::from_mins(1));
        self.now = self.now.checked_add(length).unwrap();
    }
}
