//! Who starts and stops workspaces, over the network, until each wish is known to be granted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitpod_bridge::{MemoryStore, NewInstance, NewWorkspace, WorkspaceStore};
use gitpod_lifecycle::grpc::client::{
    DescribeWorkspaceRequest, EmptyInitializer, StartWorkspaceRequest, StartWorkspaceSpec,
    StopWorkspaceRequest, WorkspaceInitializer, WorkspaceManagerClient, WorkspaceMetadata,
    WorkspacePhase, WorkspaceType, over, workspace_initializer,
};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::fate::CALM;
use crate::hosts::REGION;
use crate::wire;

pub(crate) const WORKSPACES: [&str; 3] = [
    "pink-panda-aaaaaaaa",
    "blue-whale-bbbbbbbb",
    "grey-goose-cccccccc",
];

/// What the world knows of what was wished for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The run that was started last, and its token, per workspace.
    latest: HashMap<&'static str, (String, String)>,
    /// Tokens of the runs before.
    before: HashMap<&'static str, Vec<String>>,
    stopped: Vec<String>,
    done: usize,
}

impl Wishes {
    pub(crate) fn token_of(&self, workspace: &str) -> Option<String> {
        let known = self.0.lock().unwrap();
        known.latest.get(workspace).map(|(_, token)| token.clone())
    }

    /// The token of a run before, which somebody may still have.
    pub(crate) fn old_token_of(&self, workspace: &str, random: &mut SmallRng) -> Option<String> {
        let known = self.0.lock().unwrap();
        known.before.get(workspace)?.choose(random).cloned()
    }

    fn note_start(&self, workspace: &'static str, instance: String, token: String) {
        let mut known = self.0.lock().unwrap();
        if let Some((_, old)) = known.latest.insert(workspace, (instance, token)) {
            known.before.entry(workspace).or_default().push(old);
        }
    }

    /// Instances that the manager was asked to stop, and has agreed to.
    pub(crate) fn stopped(&self) -> Vec<String> {
        self.0.lock().unwrap().stopped.clone()
    }

    /// The run of `workspace` that is to go on.
    pub(crate) fn lasting(&self, workspace: &str) -> Option<String> {
        let known = self.0.lock().unwrap();
        known
            .latest
            .get(workspace)
            .map(|(instance, _)| instance.clone())
    }

    /// Whether nothing more is wished for.
    pub(crate) fn all_done(&self) -> bool {
        self.0.lock().unwrap().done == WORKSPACES.len()
    }
}

/// Starts and stops one workspace over and over, and leaves its last run running.
pub(crate) async fn administer(
    number: usize,
    seed: u64,
    store: MemoryStore,
    wishes: Wishes,
) -> turmoil::Result {
    let workspace = WORKSPACES[number];
    let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(number as u64));
    let mut manager = over(wire::manager());
    let new = NewWorkspace::new(workspace.parse()?, "/repo").with_owner("me");
    store.create_workspace(new).await?;
    for run in 0.. {
        let instance = format!("w{number}-run-{run}");
        // Refused until the stop of the run before is recorded: the judge sees to it that it is.
        let row = NewInstance::new(instance.parse()?, workspace.parse()?, REGION);
        while store.create_instance(row.clone()).await.is_err() {
            pause().await;
        }
        let token = start(&mut manager, &instance, workspace).await;
        wishes.note_start(workspace, instance.clone(), token);
        if turmoil::sim_elapsed().unwrap_or_default() > CALM {
            break;
        }
        sleep(Duration::from_millis(random.random_range(200..12_000))).await;
        stop(&mut manager, &instance).await;
        wishes.0.lock().unwrap().stopped.push(instance);
        // So that pods are free beside each other, and change hands.
        sleep(Duration::from_millis(random.random_range(0..4000))).await;
    }
    wishes.0.lock().unwrap().done += 1;
    Ok(())
}

async fn start(manager: &mut WorkspaceManagerClient<Channel>, id: &str, workspace: &str) -> String {
    loop {
        let asked = in_time(manager.start_workspace(wish(id, workspace))).await;
        match asked {
            Ok(answer) => return answer.into_inner().owner_token,
            // An answer to this was lost.
            Err(why) if why.code() == Code::AlreadyExists => {
                if let Some(token) = token_of(manager, id).await {
                    return token;
                }
            }
            Err(_) => {}
        }
        pause().await;
    }
}

/// The token of `id`, unless that is another run's doing.
async fn token_of(manager: &mut WorkspaceManagerClient<Channel>, id: &str) -> Option<String> {
    let request = DescribeWorkspaceRequest { id: id.to_owned() };
    let answer = in_time(manager.describe_workspace(request)).await.ok()?;
    Some(answer.into_inner().status?.auth?.owner_token)
}

async fn stop(manager: &mut WorkspaceManagerClient<Channel>, id: &str) {
    loop {
        let request = StopWorkspaceRequest {
            id: id.to_owned(),
            ..StopWorkspaceRequest::default()
        };
        match in_time(manager.stop_workspace(request)).await {
            Ok(_) => break,
            Err(why) if why.code() == Code::NotFound => break, // it has ended by itself
            Err(_) => pause().await,
        }
    }
    // The next run can start when this one has gone.
    loop {
        let request = DescribeWorkspaceRequest { id: id.to_owned() };
        match in_time(manager.describe_workspace(request)).await {
            Ok(answer) => {
                let status = answer.into_inner().status.unwrap_or_default();
                if status.phase() == WorkspacePhase::Stopped {
                    return;
                }
            }
            Err(why) if why.code() == Code::NotFound => return,
            Err(_) => {}
        }
        pause().await;
    }
}

async fn pause() {
    sleep(Duration::from_millis(250)).await;
}

async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Err(Status::deadline_exceeded("no answer"));
    timeout(Duration::from_secs(5), call)
        .await
        .unwrap_or_else(late)
}

fn wish(id: &str, workspace: &str) -> StartWorkspaceRequest {
    let empty = workspace_initializer::Spec::Empty(EmptyInitializer {});
    StartWorkspaceRequest {
        id: id.to_owned(),
        service_prefix: workspace.to_owned(),
        metadata: Some(WorkspaceMetadata {
            owner: "me".to_owned(),
            meta_id: workspace.to_owned(),
            ..WorkspaceMetadata::default()
        }),
        spec: Some(StartWorkspaceSpec {
            initializer: Some(WorkspaceInitializer { spec: Some(empty) }),
            workspace_location: "r".to_owned(),
            ..StartWorkspaceSpec::default()
        }),
        r#type: WorkspaceType::Regular.into(),
    }
}
