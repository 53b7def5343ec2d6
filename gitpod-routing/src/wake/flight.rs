//! One start, from the first who comes until the workspace runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::change::Changes;
use crate::id::InstanceId;
use crate::info::{RunState, WorkspaceInfo};
use crate::wake::{End, Failure, Shared};

/// Begins to bring the workspace of `info` up, and tells how that ended. It goes on even if
/// nobody waits any more: the start cannot be undone.
pub(super) fn begin(shared: Arc<Shared>, info: Arc<WorkspaceInfo>) -> watch::Receiver<Option<End>> {
    let (tell, end) = watch::channel(None);
    tokio::spawn(async move {
        let patience = shared.limits.deadline;
        let ended = timeout(patience, bring_up(&shared, info)).await;
        let end = ended.unwrap_or(End::TimedOut);
        let outcome = match end {
            End::Running(_) => "running",
            End::Failed(_) | End::Gone => "failed",
            End::Stopped => "stopped",
            End::TimedOut => "timed_out",
        };
        metrics::counter!("gitpod_ws_proxy_wakes_total", "outcome" => outcome).increment(1);
        tell.send_replace(Some(end));
    });
    end
}

async fn bring_up(shared: &Shared, first: Arc<WorkspaceInfo>) -> End {
    let mut changes = shared.provider.changes();
    // Somebody else's start is watched. If it fails, it is not for us to try again.
    let mut started: Option<InstanceId> = None;
    let may_start = first.state != RunState::Starting;
    let mut may_repeat = may_start;
    loop {
        match look(shared, &first).await {
            Seen::Gone => return End::Gone,
            Seen::Unknown => {}
            Seen::At(info) => match info.state {
                RunState::Running => {
                    shared.remember_next(&info);
                    return End::Running(info);
                }
                RunState::Starting | RunState::Stopping => {}
                RunState::Stopped if started.is_none() && may_start => {
                    started = Some(info.instance.clone());
                    shared.remember(&info);
                    if let Err(why) = shared.starter.start(&info).await {
                        let why: &dyn std::error::Error = &why;
                        tracing::warn!(workspace = %info.id, error = why, "cannot start workspace");
                        return End::Failed(Failure::of(&info));
                    }
                    continue; // it may be there already
                }
                RunState::Stopped if started.as_ref() == Some(&info.instance) => {} // not seen yet
                // The new run has ended. Whoever asked for that has it; who waits comes after.
                RunState::Stopped if shared.starter.was_asked_to_stop(&info).await => {
                    if !may_repeat || !shared.is_awaited(&info.id) {
                        return End::Stopped;
                    }
                    (may_repeat, started) = (false, None);
                    continue;
                }
                RunState::Stopped => return End::Failed(Failure::of(&info)),
            },
        }
        wait(changes.as_mut()).await;
    }
}

enum Seen {
    At(Arc<WorkspaceInfo>),
    Gone,
    Unknown,
}

async fn look(shared: &Shared, first: &WorkspaceInfo) -> Seen {
    let answer = match shared.provider.cached(&first.id) {
        Some(answer) => answer,
        None => shared.provider.workspace_info(&first.id).await,
    };
    match answer {
        Ok(Some(info)) if info.id == first.id => Seen::At(info),
        Ok(_) => Seen::Gone,
        Err(_) => Seen::Unknown,
    }
}

/// Waits for news; of a provider that tells of none, a while.
async fn wait(changes: Option<&mut Changes>) {
    match changes {
        Some(changes) => changes.changed().await,
        None => sleep(POLL).await,
    }
}

/// Chosen by us: a small part of any start.
const POLL: Duration = Duration::from_millis(50);
