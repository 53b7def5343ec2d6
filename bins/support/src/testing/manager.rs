//! A client of a ws-manager.

use std::path::Path;
use std::process::Command;

use gitpod_lifecycle::grpc::client::{
    self, DescribeWorkspaceRequest, GitInitializer, StartWorkspaceRequest, StartWorkspaceSpec,
    StopWorkspaceRequest, WorkspaceInitializer, WorkspaceManagerClient, WorkspaceMetadata,
    WorkspacePhase, WorkspaceStatus, workspace_initializer,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use super::program::PATIENCE;
use crate::dial;
use crate::listen::Address;
use crate::tls::ClientTls;

/// A client of a ws-manager.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagerClient {
    /// For calls that have no method here.
    pub client: WorkspaceManagerClient<Channel>,
}

/// What came of a start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Started {
    /// Where it is reached.
    pub url: String,
    /// Proves its owner.
    pub token: String,
}

impl ManagerClient {
    /// Calls the manager at `address`.
    #[must_use]
    pub fn new(address: &str, tls: Option<ClientTls>) -> Self {
        let address: Address = address.parse().unwrap();
        let client = client::over(dial::channel(&address, tls));
        Self { client }
    }

    /// Starts instance `id` of workspace `meta_id` with the repository at `repository`.
    pub async fn start(&mut self, id: &str, meta_id: &str, repository: &Path) -> Started {
        let request = start_request(id, meta_id, repository);
        let answer = self.client.start_workspace(request).await.unwrap();
        let answer = answer.into_inner();
        Started {
            url: answer.url,
            token: answer.owner_token,
        }
    }

    /// Asks instance `id` to stop.
    pub async fn stop(&mut self, id: &str) {
        let request = StopWorkspaceRequest {
            id: id.to_owned(),
            ..StopWorkspaceRequest::default()
        };
        self.client.stop_workspace(request).await.unwrap();
    }

    /// Waits until instance `id` is in `phase`, or is gone if that is `Stopped`.
    pub async fn reaches(&mut self, id: &str, phase: WorkspacePhase) -> WorkspaceStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let request = DescribeWorkspaceRequest { id: id.to_owned() };
            let status = match self.client.describe_workspace(request).await {
                Ok(answer) => answer.into_inner().status.unwrap_or_default(),
                Err(why) if why.code() == tonic::Code::NotFound => WorkspaceStatus::default(),
                Err(why) => panic!("{why}"),
            };
            let gone = status.id.is_empty() && phase == WorkspacePhase::Stopped;
            if status.phase() == phase || gone {
                return status;
            }
            assert!(
                Instant::now() < give_up,
                "{id} is not {phase:?} but {status:?}"
            );
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// A request to start instance `id` of workspace `meta_id`.
#[must_use]
pub fn start_request(id: &str, meta_id: &str, repository: &Path) -> StartWorkspaceRequest {
    let git = GitInitializer {
        remote_uri: repository.to_str().unwrap().to_owned(),
        ..GitInitializer::default()
    };
    let git = workspace_initializer::Spec::Git(git);
    StartWorkspaceRequest {
        id: id.to_owned(),
        service_prefix: meta_id.to_owned(),
        metadata: Some(WorkspaceMetadata {
            owner: "owner-1".to_owned(),
            meta_id: meta_id.to_owned(),
            ..WorkspaceMetadata::default()
        }),
        spec: Some(StartWorkspaceSpec {
            initializer: Some(WorkspaceInitializer { spec: Some(git) }),
            workspace_location: "repo".to_owned(),
            ..StartWorkspaceSpec::default()
        }),
        ..StartWorkspaceRequest::default()
    }
}

/// A git repository with these files, committed.
#[must_use]
pub fn repository(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "--quiet", "--initial-branch", "main"]);
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    git(dir.path(), &["add", "."]);
    let author = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let commit = ["commit", "--quiet", "--allow-empty", "-m", "files"];
    git(dir.path(), &[author.as_slice(), commit.as_slice()].concat());
    dir
}

fn git(dir: &Path, args: &[&str]) {
    let status = Command::new("git").arg("-C").arg(dir).args(args).status();
    assert!(status.unwrap().success(), "git {args:?}");
}
