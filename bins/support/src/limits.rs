//! What our servers take from anybody, and no more.
//!
//! One table holds every limit: [`Limit::ALL`]. `docs/reliability.md` shows it, with the reasons.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use gitpod_lifecycle::GoDuration;
use serde_json::Value;

use self::text::bytes_as_text;
pub use self::text::{LimitError, Setting};

/// One limit. Its number, as text: `5`, `64KiB`, `30s`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Limit {
    /// Connections of clients at a time, and what they have become.
    Connections,
    /// The same of one source.
    ConnectionsPerSource,
    /// The same of one address of this machine.
    ConnectionsPerLocalSource,
    /// Requests at a time.
    Requests,
    /// The same of one source.
    RequestsPerSource,
    /// Until the head of a request is there, and until the next one is begun.
    HeadTime,
    /// Bytes of the head of a request.
    HeadBytes,
    /// Bytes of the heads of all requests at a time.
    HeadBytesInAll,
    /// The same of one source.
    HeadBytesPerSource,
    /// The same on one connection.
    HeadBytesPerConnection,
    /// Fields of the head of a request.
    HeadFields,
    /// Requests at a time on one connection of HTTP/2.
    Streams,
    /// Requests that a client of HTTP/2 has taken back before they were looked at.
    StreamResets,
    /// Requests that a client of HTTP/2 got wrong.
    StreamErrors,
    /// While a client takes nothing of an answer.
    SendIdle,
    /// While a client sends nothing of a body that is wanted.
    BodyIdle,
    /// Until a workspace's server has taken a connection.
    ConnectTime,
    /// WebSockets and the like into one workspace.
    UpgradesPerWorkspace,
    /// Bytes of a clone.
    CloneBytes,
    /// Until a clone is there.
    CloneTime,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes; written with KiB, MiB or GiB.
    Bytes,
    /// Time; written as Go does: `1m30s`.
    Time,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Connections,
        Self::ConnectionsPerSource,
        Self::ConnectionsPerLocalSource,
        Self::Requests,
        Self::RequestsPerSource,
        Self::HeadTime,
        Self::HeadBytes,
        Self::HeadBytesInAll,
        Self::HeadBytesPerSource,
        Self::HeadBytesPerConnection,
        Self::HeadFields,
        Self::Streams,
        Self::StreamResets,
        Self::StreamErrors,
        Self::SendIdle,
        Self::BodyIdle,
        Self::ConnectTime,
        Self::UpgradesPerWorkspace,
        Self::CloneBytes,
        Self::CloneTime,
    ];

    /// Those of listeners and proxies, which are all but those of content.
    pub fn of_servers() -> impl Iterator<Item = Self> {
        let of_content = [Self::CloneBytes, Self::CloneTime];
        Self::ALL
            .into_iter()
            .filter(move |limit| !of_content.contains(limit))
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerSource => "connections-per-source",
            Self::ConnectionsPerLocalSource => "connections-per-local-source",
            Self::Requests => "requests",
            Self::RequestsPerSource => "requests-per-source",
            Self::HeadTime => "head-time",
            Self::HeadBytes => "head-bytes",
            Self::HeadBytesInAll => "head-bytes-in-all",
            Self::HeadBytesPerSource => "head-bytes-per-source",
            Self::HeadBytesPerConnection => "head-bytes-per-connection",
            Self::HeadFields => "head-fields",
            Self::Streams => "streams",
            Self::StreamResets => "stream-resets",
            Self::StreamErrors => "stream-errors",
            Self::SendIdle => "send-idle",
            Self::BodyIdle => "body-idle",
            Self::ConnectTime => "connect-time",
            Self::UpgradesPerWorkspace => "upgrades-per-workspace",
            Self::CloneBytes => "clone-bytes",
            Self::CloneTime => "clone-time",
        }
    }

    /// What it limits, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Connections => {
                "connections at a time, tunnels included; fewer where the system has too few descriptors"
            }
            Self::ConnectionsPerSource => {
                "the same of one IPv4 address or /64 network of IPv6, this machine's apart"
            }
            Self::ConnectionsPerLocalSource => {
                "the same of one address of this machine; 0 does not count them"
            }
            Self::Requests => "requests at a time, on all connections together",
            Self::RequestsPerSource => "the same of one source, whose connections are counted",
            Self::HeadTime => {
                "until the head of a request is there, and the longest silence between two"
            }
            Self::HeadBytes => "of the head of a request",
            Self::HeadBytesInAll => "of the heads of all requests at a time",
            Self::HeadBytesPerSource => "the same of one source, whose connections are counted",
            Self::HeadBytesPerConnection => "the same on one connection of HTTP/2",
            Self::HeadFields => "of the head of a request",
            Self::Streams => "requests at a time on one connection of HTTP/2",
            Self::StreamResets => {
                "requests on one connection of HTTP/2 that were taken back unseen"
            }
            Self::StreamErrors => "requests on one connection of HTTP/2 that the client got wrong",
            Self::SendIdle => "while a client takes nothing of an answer",
            Self::BodyIdle => "while a client sends nothing of a body",
            Self::ConnectTime => "until a server of a workspace has taken a connection",
            Self::UpgradesPerWorkspace => {
                "WebSockets and other upgraded connections into one workspace"
            }
            Self::CloneBytes => "of a clone, history included",
            Self::CloneTime => "until a clone is there",
        }
    }

    /// What it counts.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.row().unit
    }

    /// What it is unless something else is said, as text.
    #[must_use]
    pub fn usual(self) -> String {
        self.text_of(self.row().usual)
    }

    fn text_of(self, value: u64) -> String {
        match self.unit() {
            Unit::Count => value.to_string(),
            Unit::Bytes => bytes_as_text(value),
            Unit::Time => GoDuration::from(Duration::from_millis(value)).to_string(),
        }
    }

    fn row(self) -> Row {
        use Unit::{Bytes, Count, Time};
        match self {
            Self::Connections => Row::new(Count, 4096, 1),
            Self::ConnectionsPerSource => Row::new(Count, 256, 1),
            Self::ConnectionsPerLocalSource => Row::new(Count, 0, 0),
            Self::Requests => Row::new(Count, 8192, 1),
            Self::RequestsPerSource => Row::new(Count, 1024, 1),
            Self::HeadTime => Row::new(Time, 30 * SECOND, 1),
            Self::HeadBytes => Row::new(Bytes, 64 * KIB, 8 * KIB),
            Self::HeadBytesInAll => Row::new(Bytes, 32 * MIB, 64 * KIB),
            Self::HeadBytesPerSource => Row::new(Bytes, 4 * MIB, 64 * KIB),
            Self::HeadBytesPerConnection => Row::new(Bytes, MIB, 64 * KIB),
            Self::HeadFields => Row::new(Count, 100, 1),
            Self::Streams => Row::new(Count, 100, 1),
            Self::StreamResets => Row::new(Count, 20, 1),
            Self::StreamErrors => Row::new(Count, 256, 1),
            Self::SendIdle => Row::new(Time, 120 * SECOND, 1),
            Self::BodyIdle => Row::new(Time, 120 * SECOND, 1),
            Self::ConnectTime => Row::new(Time, 10 * SECOND, 1),
            Self::UpgradesPerWorkspace => Row::new(Count, 1000, 0),
            Self::CloneBytes => Row::new(Bytes, 20 * GIB, MIB),
            Self::CloneTime => Row::new(Time, 3600 * SECOND, SECOND),
        }
    }
}

/// Things, bytes, or milliseconds.
struct Row {
    unit: Unit,
    usual: u64,
    least: u64,
}

impl Row {
    const fn new(unit: Unit, usual: u64, least: u64) -> Self {
        Self { unit, usual, least }
    }
}

const SECOND: u64 = 1000;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// The limits of a process.
///
/// ```
/// use support::limits::{Limit, Limits};
///
/// let mut limits = Limits::new();
/// limits.set("head-time=5s")?;
/// assert_eq!(limits.time(Limit::HeadTime).as_secs(), 5);
/// assert_eq!(limits.count(Limit::Streams), 100);
/// # Ok::<(), support::limits::LimitError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits(BTreeMap<Limit, u64>);

impl Limits {
    /// As they usually are.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one, as `name=value`.
    ///
    /// # Errors
    ///
    /// If there is none of that name, or it cannot be that.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let (limit, value) = text.parse::<Setting>()?.0;
        self.0.insert(limit, value);
        Ok(())
    }

    /// With `value`, which a test wants.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        self.0.insert(limit, value);
        self
    }

    fn value(&self, limit: Limit) -> u64 {
        let set = self.0.get(&limit).copied();
        set.unwrap_or_else(|| limit.row().usual)
    }

    /// One that counts things, or bytes.
    #[must_use]
    pub fn count(&self, limit: Limit) -> usize {
        usize::try_from(self.value(limit)).unwrap_or(usize::MAX)
    }

    /// One that is a time.
    #[must_use]
    pub fn time(&self, limit: Limit) -> Duration {
        Duration::from_millis(self.value(limit))
    }

    /// One as text.
    #[must_use]
    pub fn text(&self, limit: Limit) -> String {
        limit.text_of(self.value(limit))
    }

    /// Those that [`show`](Self::show) has shown in `metrics`, Prometheus' text; the others as they usually are.
    /// `None` if it shows none.
    #[must_use]
    pub fn of_metrics(metrics: &str) -> Option<Self> {
        let mut limits = Self::new();
        for limit in Limit::ALL {
            let gauge = format!("gitpod_limit{{limit=\"{}\"}} ", limit.name());
            let shown = metrics.lines().find_map(|line| line.strip_prefix(&gauge));
            let Some(shown) = shown.and_then(|shown| shown.trim().parse::<f64>().ok()) else {
                continue;
            };
            let value = match limit.unit() {
                Unit::Time => shown * 1000.0,
                Unit::Count | Unit::Bytes => shown,
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "no limit has so many digits, and what is below zero becomes zero"
            )]
            limits.0.insert(limit, value.round() as u64);
        }
        (!limits.0.is_empty()).then_some(limits)
    }

    /// Shows `limits` among what is measured: `gitpod_limit`, in things, bytes or seconds.
    pub fn show(&self, limits: impl IntoIterator<Item = Limit>) {
        for limit in limits {
            #[expect(clippy::cast_precision_loss, reason = "no limit has so many digits")]
            let value = match limit.unit() {
                Unit::Time => self.time(limit).as_secs_f64(),
                Unit::Count | Unit::Bytes => self.value(limit) as f64,
            };
            metrics::gauge!("gitpod_limit", "limit" => limit.name()).set(value);
            // So that the first time can be told from the beginning.
            metrics::counter!("gitpod_limit_refusals_total", "limit" => limit.name()).increment(0);
        }
    }
}

/// Shows a limit that is set elsewhere beside those of the table: in things, bytes or seconds.
pub fn show_other(name: &'static str, value: f64) {
    metrics::gauge!("gitpod_limit", "limit" => name).set(value);
}

/// `{"head-time": "5s", "streams": 50}`.
impl crate::config::Setting for Limits {
    const WRITE: &'static str = r#"an object of limits, such as {"head-time": "5s"}"#;

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let map = value.as_object().ok_or("is no object")?;
        let mut limits = Self::new();
        for (name, value) in map {
            let text = match value {
                Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            };
            limits.set(&text).map_err(|why| why.to_string())?;
        }
        Ok(Some(limits))
    }
}

/// Counts that `limit` was met and somebody refused for it.
pub fn refused(limit: Limit) {
    metrics::counter!("gitpod_limit_refusals_total", "limit" => limit.name()).increment(1);
}

#[cfg(test)]
mod tests;
