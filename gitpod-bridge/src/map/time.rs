//! Times of an instance: to the millisecond, and never before what precedes them.

use jiff::Timestamp;

use crate::record::InstanceState;

/// `time` without what is below a millisecond: databases and messages carry no more.
pub(crate) fn milliseconds(time: Timestamp) -> Timestamp {
    let short = Timestamp::from_millisecond(time.as_millisecond());
    short.unwrap_or(time)
}

/// As text that sorts like time: `2030-01-01T00:05:00.000Z`.
pub(crate) fn text(time: Timestamp) -> String {
    format!("{:.3}", milliseconds(time))
}

impl InstanceState {
    /// Notes that a runner has been seen.
    ///
    /// The note may come after those that follow it in a life; it is then put
    /// before them, so that times stay ordered.
    pub(crate) fn deployed(&mut self, created: Timestamp, now: Timestamp) {
        let next = self.started_at.or(self.stopping_at).or(self.stopped_at);
        let latest = next.map_or(now, |next| next.min(now));
        self.deployed_at.get_or_insert(latest.max(created));
    }

    pub(crate) fn started(&mut self, created: Timestamp, now: Timestamp) {
        let earliest = self.deployed_at.unwrap_or(created).max(created);
        self.started_at.get_or_insert(now.max(earliest));
    }

    pub(crate) fn stopping(&mut self, created: Timestamp, now: Timestamp) {
        let before = self.started_at.or(self.deployed_at);
        let earliest = before.unwrap_or(created).max(created);
        self.stopping_at.get_or_insert(now.max(earliest));
    }

    pub(crate) fn stopped(&mut self, created: Timestamp, now: Timestamp) {
        self.stopping(created, now);
        let earliest = self.stopping_at.unwrap_or(created);
        self.stopped_at.get_or_insert(now.max(earliest));
    }

    pub(crate) fn alive(&mut self) {
        self.stopping_at = None;
        self.stopped_at = None;
        self.stop_origin = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::InstancePhase;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn clock_behind_creation_still_gives_ordered_times() {
        let mut state = InstanceState::new(InstancePhase::Pending);
        state.started(at(100), at(50));
        state.stopped(at(100), at(60));
        assert_eq!(state.started_at, Some(at(100)));
        assert_eq!(state.stopping_at, Some(at(100)));
        assert_eq!(state.stopped_at, Some(at(100)));
    }

    #[test]
    fn runner_noticed_after_start_is_put_before_it() {
        let mut state = InstanceState::new(InstancePhase::Pending);
        state.started(at(1), at(5));
        state.deployed(at(1), at(9));
        assert_eq!(state.deployed_at, Some(at(5)));
    }

    #[test]
    fn text_has_three_digits_and_sorts() {
        let time: Timestamp = "2030-01-01T00:05:00.1239Z".parse().unwrap();
        assert_eq!(text(time), "2030-01-01T00:05:00.123Z");
        assert_eq!(text(at(0)), "1970-01-01T00:00:00.000Z");
    }
}
