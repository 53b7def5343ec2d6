//! What `up` prints.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::page::Page;
use crate::cli::Format;
use crate::client::WorkspaceView;
use crate::exit::Failure;
use crate::local::{self, event::Kind};
use crate::print;
use crate::ssh::Endpoint;
use crate::workspaces::Workspaces;

/// One line of `up -o json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    /// The first: everything listens.
    Ready {
        http: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        ssh: Option<String>,
        /// Of all workspaces. Nobody is signed in by it.
        page: String,
        domain: &'a str,
        state_dir: &'a Path,
        pid: u32,
    },
    /// The last: another process goes on. This one ends with its connections.
    Replaced { by: u32 },
    /// The phase or the ports of a workspace have changed.
    Workspace {
        #[serde(flatten)]
        workspace: Box<WorkspaceView>,
    },
    /// How far the content of a workspace is.
    Progress {
        id: &'a str,
        instance_id: &'a str,
        step: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        percent: Option<u32>,
    },
}

/// Where everything listens.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    /// Absent where SSH is switched off.
    pub(super) ssh: Option<SocketAddr>,
}

/// Prints that everything listens.
pub(super) fn ready(
    output: Format,
    at: &Addresses,
    page: &Page,
    state_dir: &Path,
) -> Result<(), Failure> {
    let domain = page.domain();
    match output {
        Format::Json => print::json(&Line::Ready {
            http: at.http.to_string(),
            ssh: at.ssh.map(|ssh| ssh.to_string()),
            page: page.url(),
            domain,
            state_dir,
            pid: std::process::id(),
        }),
        Format::Text => print::to_stdout(|out| {
            writeln!(
                out,
                "gitpod is up: http://<workspace>.{domain}:{}/",
                at.http.port()
            )?;
            // For people only: what scripts print is kept in logs.
            writeln!(out, "your workspaces: {}", page.sign_in_link()?)?;
            if let Some(ssh) = at.ssh {
                let line = Endpoint::new(ssh).command_line("<workspace>");
                writeln!(out, "a shell in one: gitpod ssh <workspace>, or {line}")?;
            }
            writeln!(
                out,
                "local processes are not isolated from each other or from you: run only what you trust"
            )?;
            writeln!(
                out,
                "in a second terminal: gitpod start REPO · gitpod list · Ctrl-C here ends everything"
            )
        }),
    }
}

/// Prints that process `by` goes on.
pub(super) fn replaced(output: Format, by: u32) {
    let printed = match output {
        Format::Json => print::json(&Line::Replaced { by }),
        Format::Text => print::to_stdout(|out| {
            writeln!(
                out,
                "process {by} has taken over; connections that are left may finish"
            )
        }),
    };
    if let Err(why) = printed {
        tracing::debug!(%why, "nobody reads any more");
    }
}

/// Prints what happens to workspaces until `end`, and then what is still to be told.
pub(super) async fn print_all(
    output: Format,
    workspaces: Workspaces,
    mut events: Receiver<local::Event>,
    end: CancellationToken,
) {
    let mut shown = HashMap::new();
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = end.cancelled() => return,
        };
        let printed = match event {
            // A reader that is slow must hold up nobody else.
            Ok(event) => match event.kind.filter(|kind| is_news(output, kind, &mut shown)) {
                Some(kind) => tokio::task::block_in_place(|| print_one(output, kind)),
                None => Ok(()),
            },
            Err(RecvError::Lagged(_)) => print_state(output, &workspaces).await,
            Err(RecvError::Closed) => return,
        };
        if let Err(why) = printed {
            tracing::warn!(%why, "cannot print events");
            return;
        }
    }
}

/// People want to know of phases; scripts get every event.
fn is_news(output: Format, kind: &Kind, shown: &mut HashMap<String, String>) -> bool {
    match (output, kind) {
        (Format::Json, _) => true,
        (Format::Text, Kind::Progress(_)) => false,
        (Format::Text, Kind::Workspace(workspace)) => {
            let phase = workspace.phase.clone();
            shown.insert(workspace.id.clone(), phase.clone()) != Some(phase)
        }
    }
}

/// In the place of events that were missed: how everything is now.
async fn print_state(output: Format, workspaces: &Workspaces) -> Result<(), Failure> {
    let now = workspaces.list().await.unwrap_or_default();
    tokio::task::block_in_place(|| {
        now.into_iter()
            .try_for_each(|workspace| print_one(output, Kind::Workspace(workspace)))
    })
}

fn print_one(output: Format, kind: Kind) -> Result<(), Failure> {
    match (output, kind) {
        (Format::Json, Kind::Workspace(workspace)) => print::json(&Line::Workspace {
            workspace: Box::new(WorkspaceView::from(workspace).without_token()),
        }),
        (Format::Json, Kind::Progress(progress)) => print::json(&Line::Progress {
            id: &progress.workspace_id,
            instance_id: &progress.instance_id,
            step: &progress.step,
            percent: progress.percent,
        }),
        (Format::Text, Kind::Workspace(workspace)) => {
            let shown = match workspace.phase.as_str() {
                "running" => &workspace.url,
                "stopped" => &workspace.failure,
                _ => "",
            };
            if workspace.phase == "running" {
                print::config(&workspace);
            }
            let line = format!("{}  {}  {shown}", workspace.id, workspace.phase);
            let line = print::shown(&line);
            let hint = (workspace.phase == "running")
                .then(|| format!("\n  in a browser: gitpod open {}", workspace.id));
            let hint = hint.unwrap_or_default();
            print::to_stdout(|out| writeln!(out, "{}{hint}", line.trim_end()))
        }
        (Format::Text, Kind::Progress(_)) => Ok(()),
    }
}
