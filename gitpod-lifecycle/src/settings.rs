//! What is the same for all instances of an installation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::url::UrlTemplate;

/// What is the same for all instances of an installation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How often activity is reported. Timeouts are looked at twice as often.
    pub heartbeat_interval: Duration,
    /// Where a workspace is reached.
    pub url_template: UrlTemplate,
    /// Where a port of a workspace is reached.
    pub port_url_template: UrlTemplate,
    /// What stands for `.Host` in these.
    pub host_url: String,
    /// What to do when a machine refuses a runner.
    pub recreation: Recreation,
    /// Whose rules count where the reference system is known to misbehave.
    pub rules: Rules,
}

impl Settings {
    /// With these URLs; all else as the reference system's installer sets it.
    #[must_use]
    pub fn new(url_template: UrlTemplate, port_url_template: UrlTemplate) -> Self {
        Self {
            timeouts: Timeouts::default(),
            heartbeat_interval: Duration::from_secs(30),
            url_template,
            port_url_template,
            host_url: String::new(),
            recreation: Recreation::default(),
            rules: Rules::Improved,
        }
    }

    /// With `timeouts`.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// By `rules`.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }
}

/// Whose rules count where the reference system is known to misbehave.
///
/// The differences are the oddities Q6 to Q11, Q13, Q29, Q31, Q35, Q36 and Q40
/// of the manager's specification, section 15; each is described where it is decided.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rules {
    /// Everything ends: a runner that vanishes stops its instance, a backup that
    /// hangs is given up, a stop before the start starts nothing.
    #[default]
    Improved,
    /// To the letter as the reference system, so that two managers can be compared.
    Reference,
}

impl Rules {
    pub(crate) fn are_improved(self) -> bool {
        self == Self::Improved
    }
}

/// How long things may take.
///
/// Zero is no limit under [`Rules::Improved`], and is reached at once under
/// [`Rules::Reference`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Timeouts {
    /// From creation to a runner: 30 minutes, since machines may have to be added.
    pub initialization: Duration,
    /// From creation to Running, and from creation to first use: 1 hour.
    pub startup: Duration,
    /// Without use: 30 minutes.
    pub inactivity: Duration,
    /// All in all: 36 hours.
    pub lifetime: Duration,
    /// All in all without a user, for prebuilds and image builds: 1 hour.
    pub headless: Duration,
    /// After the last window was closed: 2 minutes, so that a reload does no harm.
    pub after_closed: Duration,
    /// Putting the content away: 1 hour.
    pub content_finalization: Duration,
    /// Stopping all in all, once the content is put away: 1 hour.
    pub stopping: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            initialization: HOUR / 2,
            startup: HOUR,
            inactivity: HOUR / 2,
            lifetime: 36 * HOUR,
            headless: HOUR,
            after_closed: HOUR / 30,
            content_finalization: HOUR,
            stopping: HOUR,
        }
    }
}

/// What to do when a machine refuses a runner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Recreation {
    /// How many more are tried: 3, as a machine that is full seldom empties at once.
    pub max_retries: u32,
    /// How long after the end of the one before: 15 seconds, since whoever keeps
    /// the content mixes up two runners of one instance on one machine.
    pub backoff: Duration,
}

impl Recreation {
    /// At most `max_retries` more, each `backoff` after the end of the one before.
    #[must_use]
    pub fn new(max_retries: u32, backoff: Duration) -> Self {
        Self {
            max_retries,
            backoff,
        }
    }
}

impl Default for Recreation {
    fn default() -> Self {
        Self::new(3, Duration::from_secs(15))
    }
}
