//! Workspaces: what is kept between runs.
//!
//! ```text
//! start ─► row in the store ─► manager runs an instance ─► status
//!                 ▲                                          │
//!                 └──────────── bridge ◄─────────────────────┘
//!                 └─► announcements ─► watch
//! ```

mod access;
mod access_service;
mod definition;
mod end;
mod error;
mod former;
mod logs;
mod name;
mod orphan;
mod ports;
mod removal;
mod remove;
mod room;
mod route;
mod service;
mod serving;
mod start;
mod tasks;
mod turn;
mod view;
mod wake;
mod watch;

use std::sync::Arc;

use futures_util::future::join_all;
use gitpod_bridge::{SqliteStore, WorkspaceRecord, WorkspaceStore};
use gitpod_lifecycle::process::{Layout, ProcessCluster};
use gitpod_lifecycle::{GitSource, Manager, WorkspaceName};
use gitpod_routing::{Links, MemoryProvider, WorkspaceId};
use tokio::sync::{RwLock, broadcast, watch as change};

pub(crate) use self::access_service::link;
pub(crate) use self::definition::Definition;
pub(crate) use self::error::WorkspaceError;
pub(crate) use self::name::new_id;
use self::route::Routes;
pub(crate) use self::serving::follow_ports;
use self::turn::Turns;
pub(crate) use self::watch::{announce, follow_manager};
use crate::ssh::Endpoint;
use crate::{gitpod_yml, local};

/// Name of this installation's only cluster, in the store.
pub(crate) const CLUSTER: &str = "local";

/// All workspaces of this installation. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Workspaces {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manager: Manager,
    store: SqliteStore,
    routes: Routes,
    /// Whether anything is still started. Held while something is.
    opening: RwLock<Opening>,
    /// Knows where their files are, and how their limits are held.
    cluster: ProcessCluster,
    events: broadcast::Sender<local::Event>,
    turns: Turns,
    /// Tells whenever a workspace was made or removed.
    roster: change::Sender<()>,
    /// Where the SSH gateway is, if there is one.
    ssh: Option<Endpoint>,
    /// Makes links that let people in.
    links: Links,
}

/// Whether workspaces may be started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Opening {
    Open,
    /// This process is about to end.
    Closed,
}

/// How many events a watcher may fall behind before it is told to look anew.
const EVENTS: usize = 1024;

impl Workspaces {
    pub(crate) fn new(
        manager: Manager,
        store: SqliteStore,
        routes: MemoryProvider,
        cluster: ProcessCluster,
        ssh: Option<Endpoint>,
        links: Links,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                manager,
                store,
                routes: Routes::new(routes),
                opening: RwLock::new(Opening::Open),
                cluster,
                events: broadcast::Sender::new(EVENTS),
                turns: Turns::default(),
                roster: change::Sender::new(()),
                ssh,
                links,
            }),
        }
    }

    /// Changes whenever a workspace is made or removed.
    pub(crate) fn roster(&self) -> change::Receiver<()> {
        self.shared.roster.subscribe()
    }

    /// What happens from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<local::Event> {
        self.shared.events.subscribe()
    }

    /// All of them, the newest first.
    pub(crate) async fn list(&self) -> Result<Vec<local::Workspace>, WorkspaceError> {
        let mut records = self.shared.store.workspaces().await?;
        records.sort_by_key(|record| std::cmp::Reverse(record.workspace.created_at));
        // Side by side, as each asks its supervisor.
        Ok(join_all(records.iter().map(|record| self.view(record))).await)
    }

    /// One of them.
    pub(crate) async fn get(&self, id: &WorkspaceId) -> Result<local::Workspace, WorkspaceError> {
        let record = self.record(id).await?;
        let mut workspace = self.view(&record).await;
        let content = self.layout().content(&WorkspaceName::from(id))?;
        let config = gitpod_yml::read(&content).await;
        workspace.config_errors = config.errors;
        workspace.config_ignored = config.ignored;
        Ok(workspace)
    }

    /// Everything about one of them.
    pub(crate) async fn describe(
        &self,
        id: &WorkspaceId,
    ) -> Result<local::DescribeResponse, WorkspaceError> {
        let record = self.record(id).await?;
        let definition = definition::of(&record.workspace);
        let timeouts = &self.shared.manager.settings().timeouts;
        let mut answer = local::DescribeResponse {
            timeout: definition.timeout_or(timeouts.inactivity),
            workspace: Some(self.get(id).await?),
            conditions: view::conditions_of_row(record.latest.as_ref()),
            content: Some(local::Content {
                repository: GitSource::new(&definition.location).remote_for_people(),
                branch: definition.branch.unwrap_or_default(),
                path: self
                    .layout()
                    .content(&WorkspaceName::from(id))?
                    .display()
                    .to_string(),
                ready: false,
            }),
            ..local::DescribeResponse::default()
        };
        if let Some(row) = record.latest.filter(|row| !row.is_stopped())
            && let Ok(described) = self.shared.manager.describe(&row.id).await
        {
            view::add_live(&mut answer, &described);
            let network = self.shared.cluster.network(&row.id);
            answer.network = network
                .map(|network| network.to_string())
                .unwrap_or_default();
            answer.limits = self.shared.cluster.limits(&row.id).unwrap_or_default();
            let socket = self.layout().socket(&row.id);
            answer.tasks = tasks::tasks(&socket).await;
        }
        Ok(answer)
    }

    async fn record(&self, id: &WorkspaceId) -> Result<WorkspaceRecord, WorkspaceError> {
        let found = self.shared.store.workspace(id).await?;
        found.ok_or_else(|| WorkspaceError::NotFound(id.to_string()))
    }

    async fn view(&self, record: &WorkspaceRecord) -> local::Workspace {
        let ended = record.latest.as_ref().filter(|row| row.is_stopped());
        let ran = match ended {
            Some(row) => self.last_that_ran(row).await,
            None => None,
        };
        let settings = self.shared.manager.settings();
        let mut workspace = view::workspace(record, ran.as_ref(), settings);
        if let Some(ssh) = self.shared.ssh {
            workspace.ssh = ssh.command_line(&workspace.id);
        }
        if let Some(row) = record.latest.as_ref().filter(|row| !row.is_stopped())
            && let Ok(described) = self.shared.manager.describe(&row.id).await
        {
            view::add_live_ports_and_token(&mut workspace, &described);
            if workspace.phase == "running" {
                let socket = self.layout().socket(&row.id);
                ports::add_served(&mut workspace, &socket, self.shared.manager.settings()).await;
            }
        }
        workspace
    }

    fn layout(&self) -> &Layout {
        &self.shared.cluster.settings().layout
    }
}
