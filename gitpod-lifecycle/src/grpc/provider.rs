//! The workspaces of a manager elsewhere, as routing wants to know them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_routing::{
    Changes, InstanceId, Lookup, MemoryProvider, ProviderError, RunState, WorkspaceId,
    WorkspaceInfo, WorkspaceInfoProvider,
};
use tonic::Status;
use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};

use super::client::{GetWorkspacesRequest, SubscribeRequest, WorkspaceManagerClient};
use crate::status::update::StatusUpdate;

/// A [`WorkspaceInfoProvider`] that follows a manager over gRPC.
///
/// ```text
/// Subscribe, then GetWorkspaces ─► table in memory ◄─ looked up by requests
///     ▲                             │ what the list lacks is forgotten
///     └── lost: wait, begin again ──┘
/// ```
///
/// While the manager cannot be reached, what is known goes on to be routed; of
/// other workspaces it is not *certain* that they do not exist, so that they are
/// [`ProviderError`]s. Cloning shares the table.
#[derive(Clone, Debug, Default)]
pub struct RemoteWorkspaces {
    known: MemoryProvider,
    missing: Missing,
    state: Arc<AtomicU8>,
}

/// What becomes of a workspace that was known and that a new list lacks.
#[derive(Clone, Copy, Debug, Default)]
enum Missing {
    #[default]
    Forgotten,
    /// It has stopped meanwhile.
    Stopped,
}

/// The list was never read.
const LOADING: u8 = 0;
/// List and updates are there.
const CURRENT: u8 = 1;
/// The updates have ended.
const LOST: u8 = 2;

impl RemoteWorkspaces {
    /// Knows nothing, until somebody [follows](Self::follow) a manager.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what it is told in `known`, beside what is there already. What ran, and is not on a
    /// later list, has stopped: a manager lists what runs, and somebody else has told of the rest.
    #[must_use]
    pub fn keeping(known: MemoryProvider) -> Self {
        Self {
            known,
            missing: Missing::Stopped,
            ..Self::default()
        }
    }

    /// Whether the list of the manager was read at least once.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.state.load(Ordering::Acquire) != LOADING
    }

    /// Keeps the table as `client` tells it, for as long as the future is polled. It
    /// never ends: a connection that is lost is made again, after 200 ms at first and
    /// after five seconds at most.
    pub async fn follow<T>(&self, mut client: WorkspaceManagerClient<T>)
    where
        T: GrpcService<TonicBody>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + Send,
    {
        let mut table = Table::new(self.known.clone(), self.missing);
        let mut wait = FIRST_WAIT;
        loop {
            let lost = self.follow_once(&mut client, &mut table).await;
            if self.state.load(Ordering::Acquire) == CURRENT {
                self.state.store(LOST, Ordering::Release);
                wait = FIRST_WAIT;
            }
            metrics::gauge!(CONNECTED).set(0);
            match lost {
                Ok(()) => tracing::info!(?wait, "manager has ended its updates"),
                Err(why) => tracing::warn!(%why, ?wait, "manager is out of reach"),
            }
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..=1.0))).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Subscribes first, so that nothing falls between list and updates.
    async fn follow_once<T>(
        &self,
        client: &mut WorkspaceManagerClient<T>,
        table: &mut Table,
    ) -> Result<(), Status>
    where
        T: GrpcService<TonicBody>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + Send,
    {
        let updates = client.subscribe(SubscribeRequest::default()).await?;
        let list = client.get_workspaces(GetWorkspacesRequest::default());
        let list = list.await?.into_inner().status;
        let list: Vec<_> = list.into_iter().map(StatusUpdate::from).collect();
        table.replace(&list);
        self.state.store(CURRENT, Ordering::Release);
        metrics::gauge!(CONNECTED).set(1);
        let mut updates = updates.into_inner();
        while let Some(message) = updates.message().await? {
            // One without status only shows that the manager is there.
            if let Some(status) = message.status {
                table.take(&status.into());
            }
        }
        Ok(())
    }

    fn look(&self, id: &WorkspaceId) -> Lookup {
        match (self.known.get(id), self.state.load(Ordering::Acquire)) {
            (Some(info), _) => Ok(Some(info)),
            (None, CURRENT) => Ok(None),
            (None, LOADING) => Err(ProviderError::NotReady),
            (None, _) => Err(ProviderError::Unreachable("manager is out of reach".into())),
        }
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// 1 while list and updates are there.
const CONNECTED: &str = "gitpod_workspace_source_connected";

#[async_trait]
impl WorkspaceInfoProvider for RemoteWorkspaces {
    async fn workspace_info(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceInfo>>, ProviderError> {
        self.look(id)
    }

    fn cached(&self, id: &WorkspaceId) -> Option<Lookup> {
        Some(self.look(id))
    }

    fn changes(&self) -> Option<Changes> {
        self.known.changes()
    }
}

/// What was told, in order.
struct Table {
    routes: MemoryProvider,
    missing: Missing,
    known: HashMap<WorkspaceId, Known>,
    /// Of each instance that is known the workspace that it is a run of, which never changes.
    runs: HashMap<InstanceId, WorkspaceId>,
    /// Which have stopped, the oldest first.
    stopped: VecDeque<(WorkspaceId, InstanceId)>,
}

struct Known {
    instance: InstanceId,
    version: u64,
}

/// How many workspaces that have stopped are remembered, so that their pages say so.
const MOST_STOPPED: usize = 10_000;

impl Table {
    fn new(routes: MemoryProvider, missing: Missing) -> Self {
        Self {
            routes,
            missing,
            known: HashMap::new(),
            runs: HashMap::new(),
            stopped: VecDeque::new(),
        }
    }

    /// `list` is all there is.
    fn replace(&mut self, list: &[StatusUpdate]) {
        let before = std::mem::take(&mut self.known);
        self.runs.clear();
        self.stopped.clear();
        for update in list {
            self.take(update);
        }
        for id in before.keys().filter(|id| !self.known.contains_key(*id)) {
            self.miss(id);
        }
    }

    fn miss(&self, id: &WorkspaceId) {
        let stopped = match self.missing {
            Missing::Stopped => self.routes.get(id),
            Missing::Forgotten => None,
        };
        match stopped {
            Some(info) => {
                let mut info = WorkspaceInfo::clone(&info);
                info.state = RunState::Stopped;
                self.routes.insert(info);
            }
            None => self.routes.remove(id),
        }
    }

    fn take(&mut self, update: &StatusUpdate) {
        let Some(info) = update.workspace_info() else {
            let instance = shown(&update.id);
            tracing::warn!(instance, "update names no workspace that can be routed to");
            return;
        };
        let workspace = self.runs.get(&info.instance);
        if workspace.is_some_and(|workspace| *workspace != info.id) {
            let (instance, workspace) = (&info.instance, &info.id);
            tracing::warn!(%instance, %workspace, "instance is said to be of another workspace; ignored");
            return;
        }
        if self.is_overtaken(&info, update.status_version) {
            return;
        }
        let known = Known {
            instance: info.instance.clone(),
            version: update.status_version,
        };
        self.runs.insert(info.instance.clone(), info.id.clone());
        if let Some(former) = self.known.insert(info.id.clone(), known)
            && former.instance != info.instance
        {
            self.runs.remove(&former.instance);
        }
        if info.state == RunState::Stopped {
            self.remember_stopped(&info);
        }
        self.routes.insert(info);
    }

    /// Whether something newer is known: of this run, or a newer run.
    fn is_overtaken(&self, info: &WorkspaceInfo, version: u64) -> bool {
        let Some(known) = self.known.get(&info.id) else {
            return false;
        };
        if known.instance == info.instance {
            return version < known.version;
        }
        let newest = self.routes.get(&info.id);
        newest.is_some_and(|newest| newest.created_at > info.created_at)
    }

    fn remember_stopped(&mut self, info: &WorkspaceInfo) {
        self.stopped
            .push_back((info.id.clone(), info.instance.clone()));
        if self.stopped.len() <= MOST_STOPPED {
            return;
        }
        if let Some((id, instance)) = self.stopped.pop_front() {
            let is_last = |known: &Known| known.instance == instance;
            if self.known.get(&id).is_some_and(is_last) {
                self.known.remove(&id);
                self.routes.remove(&id);
                self.runs.remove(&instance);
            }
        }
    }
}

/// What was to be a name, for the log: on one line, and short.
fn shown(text: &str) -> String {
    text.chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::update::UpdatePhase;

    fn update(instance: &str, workspace: &str, phase: UpdatePhase, version: u64) -> StatusUpdate {
        let mut update = StatusUpdate::new(instance, phase);
        update.metadata.meta_id = workspace.to_owned();
        update.metadata.started_at = "2026-11-21T12:00:00Z".parse().ok();
        update.status_version = version;
        update
    }

    #[test]
    fn newest_word_on_the_newest_run_counts() {
        const PANDA: &str = "pink-panda-ns35kd21";
        let routes = MemoryProvider::new();
        let mut table = Table::new(routes.clone(), Missing::Forgotten);
        let panda = PANDA.parse().unwrap();
        let state = || {
            let info = routes.get(&panda);
            info.map(|info| (info.instance.to_string(), info.state))
        };
        table.replace(&[update("one", PANDA, UpdatePhase::Running, 5)]);
        table.take(&update("one", PANDA, UpdatePhase::Creating, 4));
        assert_eq!(state(), Some(("one".to_owned(), RunState::Running)));

        let mut next = update("two", PANDA, UpdatePhase::Pending, 1);
        next.metadata.started_at = "2026-11-21T13:00:00Z".parse().ok();
        table.take(&next);
        table.take(&update("one", PANDA, UpdatePhase::Stopped, 9));
        assert_eq!(state(), Some(("two".to_owned(), RunState::Starting)));

        // A manager that was set up anew counts from one again.
        next.status_version = 0;
        next.phase = UpdatePhase::Stopped;
        table.replace(&[next]);
        assert_eq!(state(), Some(("two".to_owned(), RunState::Stopped)));
        table.replace(&[]);
        assert_eq!(state(), None);
    }

    #[test]
    fn what_a_later_list_lacks_has_stopped_for_who_keeps_it() {
        let routes = MemoryProvider::new();
        let mut table = Table::new(routes.clone(), Missing::Stopped);
        let workspace = "pink-panda-ns35kd21";
        let state = || {
            routes
                .get(&workspace.parse().unwrap())
                .map(|info| info.state)
        };
        table.replace(&[update("one", workspace, UpdatePhase::Running, 5)]);
        assert_eq!(state(), Some(RunState::Running));
        table.replace(&[]);
        assert_eq!(state(), Some(RunState::Stopped));
        table.take(&update("two", workspace, UpdatePhase::Running, 1));
        assert_eq!(state(), Some(RunState::Running));
    }

    #[test]
    fn attack_50_names_that_are_none_are_no_routes_and_break_no_line_of_the_log() {
        const PANDA: &str = "pink-panda-ns35kd21";
        let routes = MemoryProvider::new();
        let mut table = Table::new(routes.clone(), Missing::Forgotten);
        for workspace in [
            "",
            "../etc",
            "pink-panda-ns35kd21.evil.test",
            "PINK-panda-ns35kd21",
            "8080-",
            "<b>",
        ] {
            table.take(&update("one", workspace, UpdatePhase::Running, 1));
        }
        let long = "a".repeat(64);
        for instance in [
            "",
            "one\n{\"level\":\"error\"}",
            "one\u{1b}[2J",
            "One",
            long.as_str(),
        ] {
            table.take(&update(instance, PANDA, UpdatePhase::Running, 1));
            let shown = shown(instance);
            assert!(!shown.contains(char::is_control), "{shown}");
        }
        assert!(table.known.is_empty() && table.runs.is_empty());
        assert!(routes.get(&PANDA.parse().unwrap()).is_none());
        assert!(shown(&"\n".repeat(5000)).len() <= 160);
    }

    #[test]
    fn attack_50_instance_of_one_workspace_takes_no_route_of_another() {
        let (panda, whale) = ("pink-panda-ns35kd21", "blue-whale-ns35kd21");
        let routes = MemoryProvider::new();
        let mut table = Table::new(routes.clone(), Missing::Forgotten);
        let run_of = |workspace: &str| {
            let info = routes.get(&workspace.parse().unwrap()).unwrap();
            info.instance.to_string()
        };
        table.replace(&[
            update("mine", panda, UpdatePhase::Running, 5),
            update("theirs", whale, UpdatePhase::Running, 5),
        ]);
        let mut claim = update("mine", whale, UpdatePhase::Running, 6);
        claim.metadata.started_at = "2027-01-01T00:00:00Z".parse().ok();
        table.take(&claim);
        assert_eq!(
            (run_of(panda), run_of(whale)),
            ("mine".into(), "theirs".into())
        );
        // A run that is really new is taken, and the one before it is forgotten.
        let mut next = update("next", whale, UpdatePhase::Running, 1);
        next.metadata.started_at = "2027-01-01T00:00:00Z".parse().ok();
        table.take(&next);
        assert_eq!(run_of(whale), "next");
        assert_eq!(table.runs.len(), 2);
    }

    #[test]
    fn nothing_is_certain_before_the_list_and_after_the_connection() {
        let workspaces = RemoteWorkspaces::new();
        let id = "pink-panda-ns35kd21".parse().unwrap();
        assert!(!workspaces.is_loaded());
        assert!(matches!(workspaces.look(&id), Err(ProviderError::NotReady)));
        workspaces.state.store(CURRENT, Ordering::Release);
        assert!(matches!(workspaces.look(&id), Ok(None)));
        workspaces.state.store(LOST, Ordering::Release);
        let lost = workspaces.look(&id);
        assert!(matches!(lost, Err(ProviderError::Unreachable(_))));
        assert!(workspaces.is_loaded());
    }
}
