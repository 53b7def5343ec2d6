//! `cargo xtask vectors FILE [--group G]`: does this code do what a file of cases says?
//!
//! ```text
//! file → cases → judge (what must hold?) → replay (proxy, ssh, manager, bridge) → report
//! ```
#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value answers null for what it does not have; should a replay panic, its case has failed"
)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use file::{Format, VectorFile};
use judge::{Demand, Weight, demand_of};
use outcome::Outcome;
use report::{Difference, Heading, Report, Tally};

mod bridge;
mod file;
mod judge;
mod manager;
pub(crate) mod outcome;
mod proxy;
pub(crate) mod report;
mod ssh;

type Replay = fn(&str, &Value, &Value) -> Option<Outcome>;

/// Replays `path` and prints to `out`; fails only if there is nothing to replay.
pub(crate) fn run(path: &Path, group: Option<&str>, out: impl Write) -> anyhow::Result<ExitCode> {
    let tally = replay_file(path, group, out)?;
    Ok(match tally.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// As [`run`], for callers that add up.
pub(crate) fn replay_file(
    path: &Path,
    group: Option<&str>,
    out: impl Write,
) -> anyhow::Result<Tally> {
    let file = VectorFile::read(path)?;
    if let Some(wanted) = group {
        refuse_unknown_group(&file, wanted)?;
    }
    replay_all(&file, group, out, replays_of(file.format))
}

/// Who is asked about a group, in this order.
fn replays_of(format: Format) -> &'static [Replay] {
    match format {
        Format::Proxy => &[proxy::replay, ssh::replay, manager::replay_of_proxy],
        Format::Manager => &[manager::replay],
        Format::Bridge => &[bridge::replay],
    }
}

fn refuse_unknown_group(file: &VectorFile, wanted: &str) -> anyhow::Result<()> {
    let mut groups: Vec<&str> = file
        .cases
        .iter()
        .filter_map(|case| text(case, "group"))
        .collect();
    if groups.contains(&wanted) {
        return Ok(());
    }
    groups.sort_unstable();
    groups.dedup();
    bail!(
        "the file has no case of group `{wanted}`; its groups are: {}",
        groups.join(", ")
    )
}

fn replay_all(
    file: &VectorFile,
    group: Option<&str>,
    out: impl Write,
    replays: &[Replay],
) -> anyhow::Result<Tally> {
    let mut report = Report::new(out);
    for (index, case) in file.cases.iter().enumerate() {
        if group.is_none_or(|wanted| text(case, "group") == Some(wanted)) {
            replay_case(index, case, &file.fixtures, replays, &mut report)?;
        }
    }
    Ok(report.finish()?)
}

fn replay_case(
    index: usize,
    case: &Value,
    fixtures: &Value,
    replays: &[Replay],
    report: &mut Report<impl Write>,
) -> anyhow::Result<()> {
    let place = format!("case number {}", index + 1);
    let heading = Heading {
        id: text(case, "id").unwrap_or(&place),
        group: text(case, "group").unwrap_or("no group"),
        title: text(case, "title").unwrap_or_default(),
    };
    let (mut case, group) = match (case, text(case, "group")) {
        (Value::Object(case), Some(group)) => (case.clone(), group),
        (Value::Object(_), None) => return Ok(report.invalid(&heading, "it has no `group`")?),
        _ => return Ok(report.invalid(&heading, "it is not an object")?),
    };
    let (expect, weight) = match demand_of(&case) {
        Demand::Compare { expect, weight } => (expect, weight),
        Demand::Skip(why) => return Ok(report.skipped(&heading, &why)?),
        Demand::Invalid(why) => return Ok(report.invalid(&heading, &why)?),
    };
    case.insert("expect".into(), expect);
    let case = Value::Object(case);
    let outcome = match replay_one(group, fixtures, &case, replays) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => {
            report.unsupported(group);
            return Ok(());
        }
        Err(why) => return Ok(report.invalid(&heading, &why)?),
    };
    let input = case.get("input").unwrap_or(&Value::Null);
    tell(&heading, input, outcome, weight, report)
}

/// The first answer; a replay that panics is a failure of its case, not of the whole run.
fn replay_one(
    group: &str,
    fixtures: &Value,
    case: &Value,
    replays: &[Replay],
) -> Result<Option<Outcome>, String> {
    std::panic::catch_unwind(|| {
        replays
            .iter()
            .find_map(|replay| replay(group, fixtures, case))
    })
    .map_err(|_| {
        "the replay panicked on it (see above): a shape of input that it does not know".into()
    })
}

fn tell(
    heading: &Heading<'_>,
    input: &Value,
    outcome: Outcome,
    weight: Weight,
    report: &mut Report<impl Write>,
) -> anyhow::Result<()> {
    match outcome {
        Outcome::Same => report.passed(),
        Outcome::Skipped(why) => report.skipped(heading, &why)?,
        Outcome::Differs { expected, got } => {
            let what = Difference {
                input,
                expected: &expected,
                got: &got,
            };
            match weight {
                Weight::Must => report.failed(heading, &what)?,
                Weight::May(word) => report.allowed(word, heading, &what)?,
            }
        }
    }
    Ok(())
}

fn text<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case.get(key)?.as_str()
}

#[cfg(test)]
mod tests;
