//! Logs: one JSON object a line, on standard error.
//!
//! ```text
//! {"level":"info","time":"2026-11-21T12:00:00.123Z","message":"listening","target":"support::listen","address":"127.0.0.1:8080"}
//! ```
//!
//! Secrets have types of their own that print `***` (`OwnerToken`, `Token`); that is what keeps them out. A
//! field whose *name* says that it holds one is not printed either, whoever logs it.

use std::fmt;
use std::io::IsTerminal;

use anyhow::Context;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// For machines.
    Json,
    /// For people.
    Text,
}

/// Begins to log. `LOG_LEVEL` says what: a level, or filters as `tracing` has them
/// (`info,gitpod_routing=debug`); `info` by default, `debug` if `verbose`.
///
/// # Errors
///
/// If `LOG_LEVEL` cannot be read, or somebody has begun to log before.
pub fn start(format: Format, verbose: bool) -> anyhow::Result<()> {
    let level = std::env::var(LOG_LEVEL).unwrap_or_default();
    let level = match (level.as_str(), verbose) {
        ("", false) => "info",
        ("", true) => "debug",
        (level, _) => level,
    };
    start_with(format, level).with_context(|| {
        format!("{LOG_LEVEL} is {level:?}; write error, warn, info, debug or trace")
    })
}

/// Begins to log what `filter` lets through, as `tracing` has filters.
///
/// # Errors
///
/// If `filter` cannot be read, or somebody has begun to log before.
pub fn start_with(format: Format, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let begun = match format {
        Format::Json => logs.event_format(JsonLines).try_init(),
        Format::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    begun.map_err(|why| anyhow::anyhow!("cannot begin to log: {why}"))
}

const LOG_LEVEL: &str = "LOG_LEVEL";

struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let mut line = Map::new();
        line.insert("level".to_owned(), level.into());
        line.insert("time".to_owned(), time.into());
        line.insert("target".to_owned(), event.metadata().target().into());
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let value = if names_secret(name) {
            HIDDEN.into()
        } else {
            value
        };
        self.0.insert(name.to_owned(), value);
    }
}

/// As types that hold secrets print themselves.
const HIDDEN: &str = "***";

/// Whether a field of this name must be taken to hold a secret.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = [
        "token",
        "secret",
        "password",
        "authorization",
        "cookie",
        "private",
    ];
    words.iter().any(|word| name.contains(word))
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    /// With its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(next) = cause {
            text.push_str(": ");
            text.push_str(&next.to_string());
            cause = next.source();
        }
        self.add(field, text.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_json_with_causes_and_without_secrets() {
        let lines = Lines::default();
        let writer = lines.clone();
        let logs = tracing_subscriber::fmt()
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        let why = anyhow::anyhow!("inner").context("outer");
        tracing::subscriber::with_default(logs, || {
            let why: &(dyn std::error::Error + 'static) = why.as_ref();
            tracing::warn!(
                owner_token = "s3cret",
                count = 3,
                why,
                "a \"thing\"\nhappened"
            );
            let token = gitpod_routing::OwnerToken::new("s3cret");
            tracing::warn!(?token, held = ?token);
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "a \"thing\"\nhappened");
        assert_eq!(first["why"], "outer: inner");
        assert_eq!(first["level"], "warn");
        assert_eq!(first["count"], 3);
        assert_eq!(text.lines().count(), 2);
    }
}
