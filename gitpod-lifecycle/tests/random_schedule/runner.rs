//! A runner as the schedules have it, and the dice that they are made with.

use gitpod_lifecycle::{RunnerFacts, RunnerPhase, Termination};
use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Waiting,
    Serving { ready: bool },
    Ended { code: i32 },
    Refused,
}

#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) deleting: Option<Timestamp>,
    pub(super) held: bool,
}

impl Runner {
    pub(super) fn facts(&self) -> RunnerFacts {
        let mut facts = match self.state {
            State::Waiting => RunnerFacts::creating(&*self.name),
            State::Serving { ready } => RunnerFacts::running(&*self.name, ready),
            State::Ended { code } => RunnerFacts::ended(&*self.name, Termination::exited(code, "")),
            State::Refused => RunnerFacts::new(&*self.name, RunnerPhase::Failed),
        };
        if self.state == State::Refused {
            facts.reason = "OutOfcpu".to_owned();
            facts.message = "Pod was rejected: no cpu".to_owned();
        }
        facts.node = Some("n1".to_owned());
        facts.deleting_since = self.deleting;
        facts.held = self.held;
        facts
    }
}

/// The same numbers for the same seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// An exit code.
    pub(super) fn code(&mut self) -> i32 {
        match self.below(4) {
            0 => 0,
            1 => 1,
            2 => 137,
            _ => 255,
        }
    }
}
