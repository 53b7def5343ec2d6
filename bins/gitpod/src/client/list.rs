//! `gitpod list`.

use std::io::{self, Write};

use super::connect::{connect, failure};
use super::{WorkspaceView, table};
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
        Format::Text => print::to_stdout(|out| write_table(out, &workspaces)),
    }
}

fn write_table(out: &mut dyn Write, workspaces: &[Workspace]) -> io::Result<()> {
    if workspaces.is_empty() {
        return writeln!(out, "no workspaces; make one with `gitpod start REPO`");
    }
    let rows: Vec<_> = workspaces
        .iter()
        .map(|w| {
            let reason = if w.failure.is_empty() {
                ""
            } else {
                " (failed)"
            };
            [
                w.id.clone(),
                format!("{}{reason}", w.phase),
                w.url.clone(),
                w.repository.clone(),
            ]
        })
        .collect();
    table::write(&mut &mut *out, ["ID", "PHASE", "URL", "REPOSITORY"], &rows)
}
