//! What the old one still knows of workspaces: what the new one tells.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gitpod_lifecycle::grpc::{RemoteActivity, RemoteWorkspaces, client};
use gitpod_routing::{ActivitySink, MemoryProvider, Wakes, WorkspaceInfo};
use tokio::time::sleep;

use super::start::SwitchedStarter;
use crate::client::manager_channel;
use crate::up::shares::FileShares;
use crate::up::ssh::AuthorizedKeys;

/// Tells somebody else of use, once there is somebody else.
#[derive(Debug)]
pub(in crate::up) struct SwitchedActivity {
    before: Arc<dyn ActivitySink>,
    after: OnceLock<RemoteActivity>,
}

impl SwitchedActivity {
    pub(in crate::up) fn new(before: Arc<dyn ActivitySink>) -> Self {
        Self {
            before,
            after: OnceLock::new(),
        }
    }
}

impl ActivitySink for SwitchedActivity {
    fn active(&self, info: &WorkspaceInfo) {
        match self.after.get() {
            Some(after) => after.active(info),
            None => self.before.active(info),
        }
    }
}

/// What connections are still asked about, and what they tell.
#[derive(Debug)]
pub(in crate::up) struct Followed {
    pub(in crate::up) routes: MemoryProvider,
    pub(in crate::up) activity: Arc<SwitchedActivity>,
    pub(in crate::up) starter: Arc<SwitchedStarter>,
    /// Those who are held.
    pub(in crate::up) wakes: Wakes,
    pub(in crate::up) shares: Arc<FileShares>,
    pub(in crate::up) keys: AuthorizedKeys,
}

/// How often files are read again: a share that is taken back must end within a second.
const LOOK: Duration = Duration::from_millis(300);

impl Followed {
    /// Keeps everything as the one says that commands reach at `socket`. Ends never.
    pub(in crate::up) async fn follow(self, socket: PathBuf) {
        let channel = manager_channel(socket);
        let (activity, reports) = RemoteActivity::new(client::over(channel.clone()));
        let _first = self.activity.after.set(activity);
        self.starter.turn_to(channel.clone());
        let workspaces = RemoteWorkspaces::keeping(self.routes.clone());
        let files = async {
            loop {
                sleep(LOOK).await;
                if let Err(why) = self.shares.read_again().await {
                    tracing::warn!(%why, "shares are those of before");
                }
                if let Err(why) = self.keys.read_again() {
                    tracing::warn!(%why, "keys are those of before");
                }
            }
        };
        tokio::join!(workspaces.follow(client::over(channel)), reports, files);
    }
}
