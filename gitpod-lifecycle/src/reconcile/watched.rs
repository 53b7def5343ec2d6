//! Times in which nobody could see who uses what.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// When this process ran. While it does not – it was stopped, or its machine was asleep –
/// it hears of no use, so that time says nothing of who is used.
#[derive(Debug)]
pub(super) struct Watched {
    looked: Timestamp,
    gaps: VecDeque<Gap>,
}

#[derive(Debug)]
struct Gap {
    from: Timestamp,
    until: Timestamp,
}

impl Watched {
    pub(super) fn from(now: Timestamp) -> Self {
        Self {
            looked: now,
            gaps: VecDeque::new(),
        }
    }

    /// Looks at the clock, which is to be done at least every [`INTERVAL`]. Returns how much
    /// time was missed, if far more has passed than that.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<Duration> {
        let from = std::mem::replace(&mut self.looked, now);
        let passed = now.duration_since(from);
        if passed < TOO_LONG {
            return None; // or the clock was put back
        }
        if self.gaps.len() == MOST_GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(Gap { from, until: now });
        Some(passed.unsigned_abs())
    }

    /// How much of the time since `since` was missed.
    pub(super) fn missed_since(&self, since: Timestamp) -> Duration {
        let lengths = self.gaps.iter().map(|gap| {
            let length = gap.until.duration_since(gap.from.max(since));
            Duration::try_from(length).unwrap_or_default()
        });
        lengths.sum()
    }
}

/// How often somebody looks at the clock. Far below any limit that makes sense.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Longer than a busy machine lets this process wait.
const TOO_LONG: SignedDuration = SignedDuration::from_secs(3);
/// More than a laptop is closed between two uses of what runs on it.
const MOST_GAPS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn time_without_a_look_is_missed_by_all_who_were_used_before_its_end() {
        let mut watched = Watched::from(at(0));
        for second in [1, 2, 4, 5] {
            assert_eq!(watched.look(at(second)), None);
        }
        assert_eq!(watched.look(at(35)), Some(Duration::from_secs(30)));
        assert_eq!(watched.look(at(36)), None);
        assert_eq!(watched.look(at(20)), None, "put back");
        assert_eq!(watched.look(at(30)), Some(Duration::from_secs(10)));
        let missed = |since| watched.missed_since(at(since)).as_secs();
        assert_eq!([missed(0), missed(5)], [40, 40]);
        assert_eq!([missed(25), missed(34), missed(35)], [15, 1, 0]);
    }

    #[test]
    fn only_so_many_gaps_are_remembered() {
        let mut watched = Watched::from(at(0));
        for number in 1..1000 {
            watched.look(at(number * 10));
        }
        assert_eq!(watched.gaps.len(), MOST_GAPS);
        assert_eq!(watched.missed_since(at(9980)), Duration::from_secs(10));
    }
}
