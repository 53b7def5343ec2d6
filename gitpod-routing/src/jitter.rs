//! When to try again: not all at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use http::HeaderValue;

/// A time to wait, drawn anew whenever somebody is told of it.
///
/// After a restart, or once a limit was met, everybody comes back. Who is told the same time comes at the same moment.
///
/// ```
/// use gitpod_routing::Jitter;
///
/// let seconds = Jitter::RETRY.retry_after().to_str()?.parse::<u64>()?;
/// assert!((2..=6).contains(&seconds));
/// assert!(Jitter::RECONNECT.draw().as_millis() <= 2500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is no secret, and not made as one is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Jitter {
    /// Milliseconds.
    from: u32,
    to: u32,
}

impl Jitter {
    /// Two to six seconds: `Retry-After` of what was refused for the moment. Chosen by us: a start takes a few
    /// seconds, and whole ones are all that the field can say.
    pub const RETRY: Self = Self::between(2000, 6000);

    /// Half a second to two and a half: event streams that have ended. Chosen by us: somebody looks at them.
    pub const RECONNECT: Self = Self::between(500, 2500);

    /// From `from` to `to` milliseconds, both included.
    #[must_use]
    pub const fn between(from: u32, to: u32) -> Self {
        Self { from, to }
    }

    /// One of the times.
    #[must_use]
    pub fn draw(self) -> Duration {
        Duration::from_millis(one_of(self.from.into(), self.to.into()))
    }

    /// One of the whole seconds among them, for the field `Retry-After`.
    ///
    /// **Source:** RFC 9110, section 10.2.3.
    #[must_use]
    pub fn retry_after(self) -> HeaderValue {
        HeaderValue::from(self.seconds())
    }

    /// One of the whole seconds among them.
    pub(crate) fn seconds(self) -> u64 {
        one_of(self.from.div_ceil(1000).into(), (self.to / 1000).into())
    }
}

/// A number from `from` to `to`.
fn one_of(from: u64, to: u64) -> u64 {
    let numbers = to.saturating_sub(from).saturating_add(1);
    // Its keys are random for each thread, and others for each of its hashers.
    let random = RandomState::new().build_hasher().finish();
    from + random % numbers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn attack_36_every_second_of_the_range_is_told_and_no_other() {
        let told = |jitter: Jitter| -> BTreeSet<String> {
            let values = (0..2000).map(|_| jitter.retry_after());
            values.map(|it| it.to_str().unwrap().to_owned()).collect()
        };
        let all = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(told(Jitter::RETRY), all(&["2", "3", "4", "5", "6"]));
        assert_eq!(told(Jitter::between(1500, 3900)), all(&["2", "3"]));
        assert_eq!(told(Jitter::between(1000, 1000)), all(&["1"]));
    }

    #[test]
    fn attack_36_times_to_reconnect_are_spread_over_the_range() {
        let times: Vec<_> = (0..4000)
            .map(|_| Jitter::RECONNECT.draw().as_millis())
            .collect();
        assert!(times.iter().all(|time| (500..=2500).contains(time)));
        for tenth in 0..10 {
            let from = 500 + tenth * 200;
            let here = times
                .iter()
                .filter(|time| (from..from + 200).contains(*time));
            let here = here.count();
            assert!(here > 200, "{here} of 4000 from {from} ms on");
        }
    }
}
