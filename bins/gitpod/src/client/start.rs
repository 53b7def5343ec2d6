//! `gitpod start`.

use std::path::Path;

use gitpod_lifecycle::GoDuration;
use gitpod_routing::WorkspaceId;
use support::limits::Limit;
use tonic::Status;

use super::WorkspaceView;
use super::again::{Persistent, TRIES, is_lost};
use super::connect::{connect, failure};
use crate::cli::{Format, StartArgs};
use crate::exit::{Failure, Kind};
use crate::local::start_request::What;
use crate::local::workspaces_client::WorkspacesClient;
use crate::local::{Repository, StartRequest, Workspace, event};
use crate::print::{self, Progress};
use crate::repository;
use crate::workspaces::new_id;

/// Makes or starts a workspace and tells how it comes along.
pub(crate) async fn start(args: StartArgs) -> Result<(), Failure> {
    let mut request = StartRequest {
        what: Some(what(&args)?),
        no_wait: args.no_wait,
        timeout: args
            .timeout
            .map(|timeout| GoDuration::from(timeout).to_string())
            .unwrap_or_default(),
        wake: args.wake.map(|wake| wake.to_string()).unwrap_or_default(),
        ..StartRequest::default()
    };
    if let Some(What::Repository(_)) = request.what {
        // Asked once more, by whom ever, it makes no second one.
        let id =
            new_id().map_err(|why| Failure::failed("cannot name a workspace").because(&why))?;
        request.new_id = id.to_string();
    }
    let up = connect(&args.state).await?;
    let mut last = None;
    let follow = follow(up, request, args.output.output, &mut last);
    let followed = tokio::time::timeout(args.wait_timeout, follow).await;
    match (followed, last) {
        (Ok(Err(why)), _) => Err(why),
        (Ok(Ok(())), Some(workspace)) => finish(workspace, &args),
        (Err(_), Some(workspace)) => {
            if args.output.output == Format::Json {
                print::json(&WorkspaceView::from(workspace))?;
            }
            Err(too_slow(&args))
        }
        (Err(_), None) => Err(too_slow(&args)),
        (Ok(Ok(())), None) => Err(Failure::failed("`gitpod up` said nothing of the workspace")),
    }
}

/// Follows the events to the last, also when somebody else goes on telling, and keeps in `last` what was told of
/// the workspace.
async fn follow(
    mut up: WorkspacesClient<Persistent>,
    mut request: StartRequest,
    output: Format,
    last: &mut Option<Workspace>,
) -> Result<(), Failure> {
    let cannot = |why: Status| failure("cannot start the workspace", &why);
    let mut progress = Progress::new(output);
    let mut events = up.start(request.clone()).await.map_err(cannot)?;
    let mut tries = TRIES;
    loop {
        let event = match events.get_mut().message().await {
            Err(why) if is_lost(&why) && tries > 0 => {
                tries -= 1;
                events = up.start(request.clone()).await.map_err(cannot)?;
                continue;
            }
            event => event.map_err(cannot)?,
        };
        match event.and_then(|event| event.kind) {
            Some(event::Kind::Workspace(workspace)) => {
                progress.phase(&workspace);
                tries = TRIES;
                request.what = Some(What::WorkspaceId(workspace.id.clone()));
                request.follow_instance_id = workspace.instance_id.clone();
                *last = Some(workspace);
            }
            Some(event::Kind::Progress(step)) => progress.step(&step),
            None => return Ok(()),
        }
    }
}

fn finish(workspace: Workspace, args: &StartArgs) -> Result<(), Failure> {
    print::config(&workspace);
    let ended_early = !args.no_wait && workspace.phase != "running";
    let failed = ended_early.then(|| {
        Failure::failed(format!("workspace {} does not run", workspace.id))
            .why(if workspace.failure.is_empty() {
                "it was stopped while it started".to_owned()
            } else {
                workspace.failure.clone()
            })
            .fix(fix(&workspace, args))
    });
    match args.output.output {
        Format::Json => print::json(&WorkspaceView::from(workspace))?,
        Format::Text if failed.is_none() => {
            print::to_stdout(|out| writeln!(out, "{}\n{}", workspace.id, workspace.url))?;
            if workspace.phase == "running" {
                print::note(&format!(
                    "to see it in a browser: gitpod open {}",
                    workspace.id
                ));
            }
        }
        Format::Text => {}
    }
    failed.map_or(Ok(()), Err)
}

/// A workspace keeps its branch and depth, so wrong ones cannot be mended in it.
fn fix(workspace: &Workspace, args: &StartArgs) -> String {
    let id = &workspace.id;
    let limits = [Limit::CloneBytes, Limit::CloneTime];
    let met = limits.map(Limit::name).into_iter();
    let mut met = met.filter(|name| workspace.failure.contains(&format!("({name})")));
    match (met.next(), &args.checkout.branch) {
        (Some(limit), _) => format!(
            "`gitpod delete {id}` and start with less history (--depth 1), or start `up` with a higher limit (--limit {limit}=…) and then `gitpod start {id}`"
        ),
        (None, Some(_)) => format!(
            "if there is no such branch, `gitpod delete {id}` and start with another --branch; else mend the cause and `gitpod start {id}`"
        ),
        (None, None) => {
            format!("mend the cause and `gitpod start {id}`, or `gitpod delete {id}`")
        }
    }
}

/// A workspace that exists, or a repository to make one of.
fn what(args: &StartArgs) -> Result<What, Failure> {
    let text = &args.what;
    if WorkspaceId::matches(text) && !Path::new(text).exists() {
        if args.checkout.branch.is_some() || args.checkout.depth.is_some() {
            return Err(
                Failure::new(Kind::Usage, "a workspace that exists keeps its checkout")
                    .fix("leave --branch and --depth out"),
            );
        }
        return Ok(What::WorkspaceId(text.clone()));
    }
    Ok(What::Repository(Repository {
        location: repository::location(text, args.checkout.branch.as_deref())?,
        branch: args.checkout.branch.clone().unwrap_or_default(),
        depth: args.checkout.depth.unwrap_or_default(),
    }))
}

fn too_slow(args: &StartArgs) -> Failure {
    Failure::new(Kind::TimedOut, "the workspace does not run yet")
        .why(format!(
            "it took longer than {}",
            print::duration(args.wait_timeout.into())
        ))
        .fix("it goes on in the background: look with `gitpod list`, or wait longer with --wait-timeout")
}
