//! `gitpod describe`.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;

use super::connect::{connect, failure};
use super::view::DescribeView;
use crate::cli::{DescribeArgs, Format};
use crate::exit::Failure;
use crate::local::{DescribeRequest, DescribeResponse, Task};
use crate::print;

/// Shows one workspace.
pub(crate) async fn describe(args: DescribeArgs) -> Result<(), Failure> {
    let request = DescribeRequest {
        workspace_id: args.id,
    };
    let answer = connect(&args.state)
        .await?
        .describe(request)
        .await
        .map_err(|why| failure("cannot describe the workspace", &why))?
        .into_inner();
    match args.output.output {
        Format::Json => print::json(&DescribeView::from(answer)),
        Format::Text => print::to_stdout(|out| write_text(out, &answer)),
    }
}

fn write_text(out: &mut dyn Write, answer: &DescribeResponse) -> io::Result<()> {
    let workspace = answer.workspace.clone().unwrap_or_default();
    let content = answer.content.clone().unwrap_or_default();
    let mut line = |name: &str, value: &str| {
        if value.is_empty() {
            Ok(())
        } else {
            writeln!(out, "{name:<15}{}", print::shown_in_line(value))
        }
    };
    line("id", &workspace.id)?;
    line("instance", &workspace.instance_id)?;
    line("phase", &workspace.phase)?;
    line("failure", &workspace.failure)?;
    line("url", &workspace.url)?;
    line("ssh", &workspace.ssh)?;
    line("alive because", &answer.alive_because)?;
    line(
        "stops at",
        &with_distance(&answer.stops_at, Timestamp::now()),
    )?;
    line("last activity", &answer.last_activity)?;
    line("timeout", &answer.timeout)?;
    line("woken by", &workspace.wake)?;
    line("repository", &content.repository)?;
    line("branch", &content.branch)?;
    line("files", &content.path)?;
    line("limits", &answer.limits)?;
    line("network", &answer.network)?;
    for port in &workspace.ports {
        let text = format!(
            "{} {} {} {} {}",
            port.port, port.visibility, port.protocol, port.url, port.name
        );
        line("port", text.trim_end())?;
    }
    for task in &answer.tasks {
        line("task", &format!("{} {}", task.name, state(task)))?;
    }
    for error in &workspace.config_errors {
        line(".gitpod.yml", &format!("not used: {error}"))?;
    }
    for ignored in &workspace.config_ignored {
        line(".gitpod.yml", &format!("ignored: {ignored}"))?;
    }
    for condition in &answer.conditions {
        let text = format!(
            "{} {} {}",
            condition.r#type, condition.status, condition.message
        );
        line("condition", text.trim_end())?;
    }
    Ok(())
}

/// A time to come, and how far it is.
fn with_distance(at: &str, now: Timestamp) -> String {
    let Ok(time) = at.parse::<Timestamp>() else {
        return at.to_owned();
    };
    let left = time.duration_since(now).as_secs();
    match u64::try_from(left) {
        Ok(left) => {
            let left = print::duration(Duration::from_secs(left).into());
            format!("{at} (in {left}, if nobody uses it)")
        }
        Err(_) => at.to_owned(),
    }
}

/// `running`, or how it ended.
pub(super) fn state(task: &Task) -> String {
    let error = Some(&task.error).filter(|error| !error.is_empty());
    match (error, task.exit_code, task.signal) {
        (Some(error), ..) => format!("failed: {error}"),
        (None, Some(0), _) => "finished".to_owned(),
        (None, Some(code), _) => format!("failed with exit code {code}"),
        (None, None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None, None) => task.state.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_come_say_how_far_they_are() {
        let now: Timestamp = "2026-11-21T17:00:00Z".parse().unwrap();
        let told = with_distance("2026-11-21T17:30:00Z", now);
        assert_eq!(told, "2026-11-21T17:30:00Z (in 30m, if nobody uses it)");
        assert_eq!(
            with_distance("2026-11-21T16:00:00Z", now),
            "2026-11-21T16:00:00Z"
        );
        assert_eq!(with_distance("", now), "");
    }
}
