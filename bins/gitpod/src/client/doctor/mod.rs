//! `gitpod doctor`: what on this machine keeps `up` from working well.

mod limits;
mod machine;
mod network;
mod state;

use serde::Serialize;

use self::machine::{editor, git, ssh};
use super::connect::connect_page;
use super::table::{Table, Tone};
use crate::cli::{DoctorArgs, Format};
use crate::exit::Failure;
use crate::local::AboutRequest;
use crate::print;

/// What was found by one check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    found: String,
    /// What to do about it; absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It works, and could work better.
    Note,
    /// It does not work.
    Problem,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            found: found.into(),
            fix: None,
        }
    }

    fn note(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Status::Note,
            fix: Some(fix.into()),
            ..Self::ok(check, found)
        }
    }

    fn problem(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Status::Problem,
            ..Self::note(check, found, fix)
        }
    }
}

/// Checks everything, and says what to do about what is wrong.
pub(crate) async fn doctor(args: DoctorArgs) -> Result<(), Failure> {
    let up = running(&args).await;
    let mut findings = vec![up.clone()];
    if up.status == Status::Note {
        findings.push(network::port_of_http(args.listen));
        findings.extend(network::port_of_ssh(args.ssh_listen));
    }
    findings.push(network::names(&args.domain).await);
    findings.extend(state::checks(&args.state)?);
    findings.extend([git().await, ssh(), editor()]);
    findings.extend(limits::checks());
    findings.push(limits::in_force(&args.state).await);
    let trying = "trying whether workspaces can have networks of their own …";
    findings.push(print::patiently(trying, network::own_networks()).await);
    show(&findings, args.output.output)?;
    let problems = findings
        .iter()
        .filter(|it| it.status == Status::Problem)
        .count();
    match problems {
        0 => Ok(()),
        _ => Err(
            Failure::failed(format!("{problems} of {} checks failed", findings.len()))
                .fix("do what is said beside each of them, and run `gitpod doctor` again"),
        ),
    }
}

async fn running(args: &DoctorArgs) -> Finding {
    let about = async {
        let mut up = connect_page(&args.state).await.ok()?;
        Some(up.about(AboutRequest {}).await.ok()?.into_inner())
    };
    match about.await {
        Some(up) => Finding::ok("up", format!("process {} answers at {}", up.pid, up.page)),
        None => Finding::note("up", "it is not running", "gitpod up"),
    }
}

fn show(findings: &[Finding], output: Format) -> Result<(), Failure> {
    if output == Format::Json {
        return print::json(&findings);
    }
    let mut table = Table::new(["CHECK", "STATUS", "FOUND"]).with_last_wrapped();
    for finding in findings {
        let (status, tone) = match finding.status {
            Status::Ok => ("ok", Tone::Good),
            Status::Note => ("note", Tone::Warn),
            Status::Problem => ("problem", Tone::Bad),
        };
        table.row([
            (finding.check.to_owned(), Tone::None),
            (status.to_owned(), tone),
            (finding.found.clone(), Tone::None),
        ]);
        if let Some(fix) = &finding.fix {
            let fix = format!("fix: {fix}");
            table.row([String::new(), String::new(), fix].map(|text| (text, Tone::None)));
        }
    }
    table.print("nothing was checked")
}
