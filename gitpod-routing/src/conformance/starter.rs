//! Promises of what starts workspaces.

use crate::id::InstanceId;
use crate::info::{RunState, WorkspaceInfo, WorkspaceInfoProvider};
use crate::wake::Starter;

/// A stopped workspace becomes one other run, also if it is started twice.
///
/// `stopped` is what `provider` says of it at the beginning. The run is left as it is then.
///
/// # Panics
///
/// If it does not become another run, or two. It waits for ever if the provider never shows
/// one: give it a time limit.
pub async fn starter_starts_one_run(
    starter: &dyn Starter,
    provider: &dyn WorkspaceInfoProvider,
    stopped: &WorkspaceInfo,
) {
    if stopped.state != RunState::Stopped {
        panic!(
            "the workspace is stopped at first, and was {:?}",
            stopped.state
        );
    }
    let mut runs: Vec<InstanceId> = Vec::new();
    for _ in 0..2 {
        if let Err(why) = starter.start(stopped).await {
            panic!("starting succeeds, also what is started already, and said {why:?}");
        }
        runs.push(next_run(provider, stopped).await);
    }
    if let [first, second] = runs.as_slice()
        && first != second
    {
        panic!("one run was to be started, and there were {first} and {second}");
    }
}

async fn next_run(provider: &dyn WorkspaceInfoProvider, stopped: &WorkspaceInfo) -> InstanceId {
    loop {
        let mut changes = provider.changes();
        match provider.workspace_info(&stopped.id).await {
            Ok(Some(info)) if info.instance != stopped.instance => return info.instance.clone(),
            Ok(Some(_)) => {}
            other => panic!("the workspace is there, and the answer was {other:?}"),
        }
        match &mut changes {
            Some(changes) => changes.changed().await,
            None => tokio::task::yield_now().await,
        }
    }
}
