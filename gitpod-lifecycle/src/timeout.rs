//! Whether an instance has had its time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::condition::{Condition, ConditionType, reason};
use crate::duration::{GoDuration, hours_and_minutes};
use crate::event::Event;
use crate::facts::Maintenance;
use crate::phase::Phase;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::status::Status;

/// What [`timeout`] decides.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The limit that is reached, if one is. To be kept with
    /// [`TimedOut::record`], which makes the instance stop.
    pub fired: Option<TimedOut>,
    /// When the next limit is reached, if nothing happens before.
    pub deadline: Option<Timestamp>,
    /// When to ask again. Never, if absent: the answer is final.
    pub look_again_after: Option<Duration>,
}

/// A limit that is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TimedOut {
    /// Which limit, with what it is and how much has passed: for people.
    pub text: String,
}

impl TimedOut {
    /// Notes in `status` that the limit was reached `now`; gives what to tell.
    pub fn record(self, status: &mut Status, now: Timestamp) -> Event {
        let timeout = Condition::holds(ConditionType::Timeout, now).because(reason::TIMED_OUT);
        status.conditions.set(timeout.saying(&*self.text));
        Event::TimedOut(self.text)
    }
}

/// Whether an instance has had its time.
///
/// Depends on nothing but its arguments. Asked for each instance every half
/// heartbeat; not at all once it has timed out; once a minute in maintenance.
///
/// | phase | measured from | limit |
/// |---|---|---|
/// | `Pending` | creation | `initialization` |
/// | `Creating`, `Initializing` | creation | `startup` |
/// | `Running` | creation | its own lifetime, or `lifetime` |
/// | `Running`, headless | creation | `headless` |
/// | `Running`, never used | creation | `startup` (Q40: or its own, if that is longer) |
/// | `Running`, closed | last use | its own, or `after_closed`; not if its own is zero |
/// | `Running` | last use | its own, or `inactivity` |
/// | `Stopping`, removal asked for | removal asked for | `content_finalization`, then `stopping` |
///
/// Under [`Rules::Improved`](crate::Rules::Improved) the last row does not
/// count, since [`observe`](crate::observe()) bounds every stop; the lifetime
/// counts in `Unknown` too (Q7); and a limit of zero is no limit.
///
/// **Source:** manager specification, section 10.
#[must_use]
pub fn timeout(
    spec: &Spec,
    status: &Status,
    maintenance: Maintenance,
    settings: &Settings,
    now: Timestamp,
) -> Verdict {
    timeout_but(spec, status, maintenance, settings, Duration::ZERO, now)
}

/// As [`timeout`]; of the time since the last use, or else since creation, `missed` does not
/// count, since nobody could see whether the instance was used.
pub(crate) fn timeout_but(
    spec: &Spec,
    status: &Status,
    maintenance: Maintenance,
    settings: &Settings,
    missed: Duration,
    now: Timestamp,
) -> Verdict {
    let mut verdict = Verdict {
        fired: None,
        deadline: None,
        look_again_after: None,
    };
    if status.conditions.is_true(&ConditionType::Timeout) {
        return verdict;
    }
    if maintenance == Maintenance::On {
        verdict.look_again_after = Some(MAINTENANCE_POLL);
        return verdict;
    }
    let limits = limits(spec, status, settings, missed);
    verdict.fired = limits
        .iter()
        .find(|limit| limit.is_reached(now))
        .map(|limit| limit.text(now));
    verdict.deadline = limits.iter().filter_map(Limit::deadline).min();
    verdict.look_again_after = Some(settings.heartbeat_interval / 2);
    verdict
}

/// A limit that counts now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Limit {
    pub(crate) label: &'static str,
    pub(crate) since: Timestamp,
    pub(crate) length: Duration,
}

impl Limit {
    fn is_reached(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= signed(self.length)
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.since.checked_add(signed(self.length)).ok()
    }

    /// `time`, as exactly as limits of this kind are.
    pub(crate) fn say(&self, time: Duration) -> String {
        match self.length < Duration::from_secs(60) {
            true => GoDuration::from(Duration::from_secs(time.as_secs())).to_string(),
            false => hours_and_minutes(time),
        }
    }

    fn text(&self, now: Timestamp) -> TimedOut {
        let passed = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        let (label, passed, length) = (self.label, self.say(passed), self.say(self.length));
        TimedOut {
            text: format!("workspace timed out ({label}): {passed} passed, the limit is {length}"),
        }
    }
}

fn signed(length: Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}

/// The limits that count now, those that are told first at the front. Those on idleness begin
/// later by what was `missed`.
pub(crate) fn limits(
    spec: &Spec,
    status: &Status,
    settings: &Settings,
    missed: Duration,
) -> Vec<Limit> {
    let timeouts = &settings.timeouts;
    let improved = settings.rules.are_improved();
    let since_creation = |label, length| Limit {
        label,
        since: spec.created_at,
        length,
    };
    let lifetime = since_creation(
        "maximum lifetime",
        spec.timeouts.lifetime.unwrap_or(timeouts.lifetime),
    );
    let mut limits = match status.phase {
        Phase::Unset if improved => vec![since_creation("initialization", timeouts.initialization)],
        Phase::Pending => vec![since_creation("initialization", timeouts.initialization)],
        Phase::Creating => vec![since_creation("creating containers", timeouts.startup)],
        Phase::Initializing => vec![since_creation("startup", timeouts.startup)],
        Phase::Running => while_running(spec, status, settings, missed),
        Phase::Stopping => while_stopping(spec, status, settings),
        Phase::Unset | Phase::Unknown | Phase::ImageBuild | Phase::Stopped => Vec::new(),
    };
    let has_lifetime = match status.phase {
        Phase::Running => true,
        Phase::Unknown => improved,
        _ => false,
    };
    if has_lifetime {
        limits.insert(0, lifetime);
    }
    limits.retain(|limit| !(improved && limit.length.is_zero()));
    limits
}

fn while_running(
    spec: &Spec,
    status: &Status,
    settings: &Settings,
    missed: Duration,
) -> Vec<Limit> {
    let timeouts = &settings.timeouts;
    let inactivity = spec.timeouts.inactivity.unwrap_or(timeouts.inactivity);
    if spec.is_headless() {
        let (label, length) = ("running the headless workspace", timeouts.headless);
        return vec![Limit {
            label,
            since: spec.created_at,
            length,
        }];
    }
    let seen = |since: Timestamp| since.saturating_add(signed(missed)).unwrap_or(since);
    let Some(since) = status.last_activity.map(seen) else {
        let own = spec
            .timeouts
            .inactivity
            .filter(|_| settings.rules.are_improved());
        let length = longer(timeouts.startup, own);
        return vec![Limit {
            label: INACTIVITY,
            since: seen(spec.created_at),
            length,
        }];
    };
    let mut limits = Vec::new();
    let closed = spec.timeouts.closed.unwrap_or(timeouts.after_closed);
    let disabled = spec.timeouts.closed.is_some_and(|own| own.is_zero());
    if status.conditions.is_true(&ConditionType::Closed) && !disabled {
        limits.push(Limit {
            label: "after being closed",
            since,
            length: closed,
        });
    }
    limits.push(Limit {
        label: INACTIVITY,
        since,
        length: inactivity,
    });
    limits
}

const INACTIVITY: &str = "period of inactivity";

/// The longer one, where zero is for ever.
fn longer(limit: Duration, own: Option<Duration>) -> Duration {
    match own {
        Some(own) if own.is_zero() || limit.is_zero() => Duration::ZERO,
        Some(own) => limit.max(own),
        None => limit,
    }
}

fn while_stopping(spec: &Spec, status: &Status, settings: &Settings) -> Vec<Limit> {
    let removal = spec
        .deletion_requested_at
        .filter(|_| !settings.rules.are_improved());
    let Some(since) = removal else {
        return Vec::new();
    };
    let (label, length) = match status.conditions.is_true(&ConditionType::BackupComplete) {
        true => ("stopping", settings.timeouts.stopping),
        false => ("backup", settings.timeouts.content_finalization),
    };
    vec![Limit {
        label,
        since,
        length,
    }]
}

/// Maintenance is announced for minutes, so looking once a minute is soon enough.
const MAINTENANCE_POLL: Duration = Duration::from_secs(60);
