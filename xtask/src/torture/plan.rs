//! What happens in a round, all of it drawn from the seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What a client asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Deed {
    Create,
    Start,
    Stop,
    Delete,
}

/// Something that a client has just done or heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Happening {
    /// A command was sent.
    Sent(Deed),
    /// A command was acknowledged.
    Acknowledged(Deed),
}

/// What has to happen before the kill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trigger {
    /// Nothing.
    Anytime,
    /// This, so many times.
    After(Happening, u32),
    /// Any acknowledgement, so many times.
    AfterAnyAcknowledgement(u32),
}

/// One round: when `up` is killed, and how often on the way up again.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Seed of what the clients do.
    pub(super) clients: u64,
    pub(super) trigger: Trigger,
    pub(super) delay: Duration,
    /// Whether another one takes over at that moment, and how far it comes.
    pub(super) replacement: Option<Replacement>,
    /// The next ones are killed so long after they were started.
    pub(super) also_killed: Vec<Duration>,
}

impl Round {
    /// Round `number` of the run with `seed`.
    pub(super) fn draw(seed: u64, number: u32) -> Self {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ u64::from(number));
        let (trigger, longest_delay) = trigger(&mut random);
        let delay =
            Duration::from_micros(random.random_range(0..=longest_delay.as_micros() as u64));
        let replacement = Replacement::draw(&mut random);
        let more = match random.random_range(0..10) {
            0..7 => 0,
            7..9 => 1,
            _ => 2,
        };
        let also_killed = (0..more)
            .map(|_| Duration::from_millis(random.random_range(0..600)))
            .collect();
        Self {
            clients: random.random(),
            trigger,
            delay,
            replacement,
            also_killed,
        }
    }

    /// Whether `happened`, which came `before` times before, is what the kill waits for.
    pub(super) fn is_triggered(&self, happened: Happening, seen: &mut u32) -> bool {
        let (counts, enough) = match self.trigger {
            Trigger::Anytime => (false, 0),
            Trigger::After(wanted, times) => (happened == wanted, times),
            Trigger::AfterAnyAcknowledgement(times) => {
                (matches!(happened, Happening::Acknowledged(_)), times)
            }
        };
        *seen += u32::from(counts);
        counts && *seen >= enough
    }
}

/// `up --replace`, at the moment at which a round would kill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Replacement {
    /// It takes over; so long after that, the kill comes.
    Whole(Duration),
    /// So long after it was started, somebody is killed.
    Cut(Side, Duration),
}

/// Who is killed in the middle of a replacement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Old,
    New,
    Both,
}

impl Replacement {
    fn draw(random: &mut StdRng) -> Option<Self> {
        let within =
            |random: &mut StdRng, most| Duration::from_millis(random.random_range(0..most));
        let side = match random.random_range(0..10) {
            0..4 => return None,
            4..7 => return Some(Self::Whole(within(random, 800))),
            7 => Side::Old,
            8 => Side::New,
            _ => Side::Both,
        };
        // The first half of it is begun in some milliseconds, the rest takes seconds at most.
        let most = if random.random() { 300 } else { 2000 };
        Some(Self::Cut(side, within(random, most)))
    }
}

impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(after) => write!(f, "replaced, killed {after:.0?} later"),
            Self::Cut(Side::Old, after) => {
                write!(f, "replaced, the old one killed {after:.0?} into it")
            }
            Self::Cut(Side::New, after) => {
                write!(f, "replaced, the new one killed {after:.0?} into it")
            }
            Self::Cut(Side::Both, after) => write!(f, "replaced, both killed {after:.0?} into it"),
        }
    }
}

/// What the kill waits for, and at most how long after that it comes.
fn trigger(random: &mut StdRng) -> (Trigger, Duration) {
    let times = random.random_range(1..=3);
    let sent = |deed, longest| {
        let sent = Trigger::After(Happening::Sent(deed), times);
        (sent, Duration::from_millis(longest))
    };
    match random.random_range(0..100) {
        0..15 => (Trigger::Anytime, Duration::from_millis(2500)),
        15..35 => sent(Deed::Create, 250),
        35..50 => sent(Deed::Start, 200),
        50..70 => sent(Deed::Stop, if random.random() { 40 } else { 1200 }),
        70..82 => sent(Deed::Delete, if random.random() { 40 } else { 1200 }),
        82..91 => (
            Trigger::AfterAnyAcknowledgement(random.random_range(1..12)),
            Duration::ZERO,
        ),
        _ => {
            let deed = [Deed::Create, Deed::Start, Deed::Stop, Deed::Delete];
            let deed = deed.get(random.random_range(0..4)).copied();
            let deed = deed.unwrap_or(Deed::Stop);
            let heard = Trigger::After(Happening::Acknowledged(deed), 1);
            (heard, Duration::from_millis(3))
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.replacement {
            Some(replacement) => write!(f, "{replacement}; begun {:.1?} ", self.delay)?,
            None => write!(f, "killed {:.1?} ", self.delay)?,
        }
        match self.trigger {
            Trigger::Anytime => f.write_str("after its start")?,
            Trigger::After(Happening::Sent(deed), n) => write!(f, "after {deed} {n} was sent")?,
            Trigger::After(Happening::Acknowledged(deed), n) => {
                write!(f, "after {deed} {n} was acknowledged")?;
            }
            Trigger::AfterAnyAcknowledgement(n) => write!(f, "after acknowledgement {n}")?,
        }
        for after in &self.also_killed {
            write!(f, ", again {after:.0?} into its start")?;
        }
        Ok(())
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "creation",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Delete => "deletion",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_is_drawn_from_seed_and_number_alone() {
        let text = |seed, number| format!("{:?}", Round::draw(seed, number));
        assert_eq!(text(7, 3), text(7, 3));
        assert_ne!(text(7, 3), text(7, 4));
        assert_ne!(text(7, 3), text(8, 3));
    }

    #[test]
    fn every_kind_of_moment_is_drawn_within_a_few_rounds() {
        let drawn: Vec<_> = (0..60).map(|number| Round::draw(1, number)).collect();
        let sent = |deed| Happening::Sent(deed);
        for deed in [Deed::Create, Deed::Start, Deed::Stop, Deed::Delete] {
            let is = |it: &Round| matches!(it.trigger, Trigger::After(on, _) if on == sent(deed));
            assert!(drawn.iter().any(is), "{deed}");
        }
        assert!(drawn.iter().any(|it| it.trigger == Trigger::Anytime));
        assert!(drawn.iter().any(|it| !it.also_killed.is_empty()));
        let is_whole = |it: &Round| matches!(it.replacement, Some(Replacement::Whole(_)));
        assert!(drawn.iter().any(is_whole));
        for side in [Side::Old, Side::New, Side::Both] {
            let is = |it: &Round| matches!(it.replacement, Some(Replacement::Cut(cut, _)) if cut == side);
            assert!(drawn.iter().any(is), "{side:?}");
        }
    }

    #[test]
    fn kill_waits_for_the_wanted_number_of_happenings() {
        let mut round = Round::draw(1, 1);
        round.trigger = Trigger::After(Happening::Sent(Deed::Stop), 2);
        let mut seen = 0;
        assert!(!round.is_triggered(Happening::Sent(Deed::Stop), &mut seen));
        assert!(!round.is_triggered(Happening::Acknowledged(Deed::Stop), &mut seen));
        assert!(round.is_triggered(Happening::Sent(Deed::Stop), &mut seen));
    }
}
