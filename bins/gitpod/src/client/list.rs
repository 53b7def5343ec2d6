//! `gitpod list`.

use super::WorkspaceView;
use super::connect::{connect, failure};
use super::table::{Table, Tone};
use crate::cli::{Format, ListArgs};
use crate::exit::Failure;
use crate::local::{ListRequest, Workspace};
use crate::print;

/// Shows all workspaces.
pub(crate) async fn list(args: ListArgs) -> Result<(), Failure> {
    let answer = connect(&args.state)
        .await?
        .list(ListRequest {})
        .await
        .map_err(|why| failure("cannot list workspaces", &why))?;
    let workspaces = answer.into_inner().workspaces;
    match args.output.output {
        Format::Json => {
            let views = workspaces.into_iter().map(WorkspaceView::from);
            let views: Vec<_> = views.map(WorkspaceView::without_config).collect();
            print::json(&views)
        }
        Format::Text => {
            let nothing = "no workspaces; make one with `gitpod start REPO`";
            let whole = table(&workspaces);
            // `describe` and `open` have the address, too.
            match whole.fits() {
                true => whole.print(nothing),
                false => narrow_table(&workspaces).print(nothing),
            }
        }
    }
}

fn table(workspaces: &[Workspace]) -> Table<4> {
    let mut table = Table::new(["ID", "PHASE", "URL", "REPOSITORY"]).with_last_whole();
    for workspace in workspaces {
        table.row([
            (workspace.id.clone(), Tone::None),
            phase(workspace),
            (workspace.url.clone(), Tone::None),
            (workspace.repository.clone(), Tone::None),
        ]);
    }
    table
}

fn narrow_table(workspaces: &[Workspace]) -> Table<3> {
    let mut table = Table::new(["ID", "PHASE", "REPOSITORY"]).with_last_whole();
    for workspace in workspaces {
        table.row([
            (workspace.id.clone(), Tone::None),
            phase(workspace),
            (workspace.repository.clone(), Tone::None),
        ]);
    }
    table
}

fn phase(workspace: &Workspace) -> (String, Tone) {
    let failed = !workspace.failure.is_empty();
    let tone = match workspace.phase.as_str() {
        "running" => Tone::Good,
        "stopped" if failed => Tone::Bad,
        "stopped" => Tone::None,
        _ => Tone::Warn,
    };
    let reason = if failed { " (failed)" } else { "" };
    (format!("{}{reason}", workspace.phase), tone)
}
