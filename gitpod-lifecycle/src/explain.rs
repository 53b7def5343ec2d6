//! Why a workspace is alive and when it stops, in words.

use std::time::Duration;

use jiff::Timestamp;

use crate::condition::ConditionType;
use crate::disposal::disposal_is_finished;
use crate::duration::GoDuration;
use crate::phase::Phase;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::status::Status;
use crate::timeout::{Limit, limits};

/// Why a workspace is alive and when it stops.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// Why it is alive, in a sentence; absent if it is not.
    pub alive_because: Option<String>,
    /// When it stops if nobody does anything; absent if that is not known.
    pub stops_at: Option<Timestamp>,
    /// Which limit that is, or what ended it.
    pub stops_because: Option<String>,
}

/// Why a workspace is alive and when it stops, as of `now`.
///
/// For people: `gitpod describe` prints it. The limits are those of
/// [`timeout`](crate::timeout()).
#[must_use]
pub fn explain(spec: &Spec, status: &Status, settings: &Settings, now: Timestamp) -> Explanation {
    explain_but(spec, status, settings, Duration::ZERO, now)
}

/// As [`explain`]; of the time since the last use `missed` does not count.
pub(crate) fn explain_but(
    spec: &Spec,
    status: &Status,
    settings: &Settings,
    missed: Duration,
    now: Timestamp,
) -> Explanation {
    let limits = limits(spec, status, settings, missed);
    let next = limits
        .iter()
        .filter_map(|limit| Some((limit.deadline()?, limit)))
        .min_by_key(|(at, _)| *at);
    Explanation {
        alive_because: alive_because(spec, status, missed, now),
        stops_at: next.map(|(at, _)| at),
        stops_because: end_of(status).or_else(|| next.map(|(_, limit)| limit_in_words(limit))),
    }
}

fn alive_because(spec: &Spec, status: &Status, missed: Duration, now: Timestamp) -> Option<String> {
    let seconds = |time: Duration| GoDuration::from(Duration::from_secs(time.as_secs()));
    let age = |since: Timestamp| seconds(now.duration_since(since).unsigned_abs());
    let but = match missed.as_secs() {
        0 => String::new(),
        _ => format!(
            "; {} of that do not count, since nobody could see whether it was used",
            seconds(missed)
        ),
    };
    Some(match status.phase {
        Phase::Unset | Phase::Pending => "it waits for a runner".to_owned(),
        Phase::ImageBuild => "its image is being built".to_owned(),
        Phase::Creating => "its runner is being created".to_owned(),
        Phase::Initializing if !status.conditions.is_true(&ConditionType::ContentReady) => {
            "its content is being put in place".to_owned()
        }
        Phase::Initializing => "its IDE is starting".to_owned(),
        Phase::Running if spec.is_headless() => "its tasks run".to_owned(),
        Phase::Running => match status.last_activity {
            None => "nobody has used it yet, and it has just been started".to_owned(),
            Some(last) if status.conditions.is_true(&ConditionType::Closed) => {
                format!("its last window was closed only {} ago{but}", age(last))
            }
            Some(last) => format!("it was last used {} ago{but}", age(last)),
        },
        Phase::Stopping if disposal_is_finished(spec, status) => {
            "its processes are ending".to_owned()
        }
        Phase::Stopping => "its processes end, then its content is put away".to_owned(),
        Phase::Unknown => "its runner does not say how it is".to_owned(),
        Phase::Stopped => return None,
    })
}

fn end_of(status: &Status) -> Option<String> {
    let conditions = &status.conditions;
    let message = |kind| conditions.message_if_true(&kind).map(str::to_owned);
    message(ConditionType::Failed)
        .or_else(|| message(ConditionType::Timeout))
        .or_else(|| {
            conditions
                .is_true(&ConditionType::StoppedByRequest)
                .then(|| "its stop was asked for".to_owned())
        })
}

fn limit_in_words(limit: &Limit) -> String {
    format!("{} of {}", limit.label, limit.say(limit.length))
}
