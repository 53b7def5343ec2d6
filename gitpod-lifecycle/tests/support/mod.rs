//! What several tests need.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gitpod_lifecycle::process::{FileRecords, Layout, ProcessCluster, ProcessSettings};
use gitpod_lifecycle::{
    Adapters, Clock, ContentStore, EnvVar, Manager, Settings, Spec, StatusUpdate, Subscription,
    UpdatePhase,
};
use gitpod_routing::InstanceId;
use jiff::Timestamp;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const WORKSPACE: &str = "pink-panda-ns35kd21";

/// Local workspaces in a directory of their own.
pub(crate) struct Local {
    pub(crate) dir: TempDir,
}

impl Local {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.dir.path())
    }

    pub(crate) fn settings(&self) -> ProcessSettings {
        let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/supervisor.py");
        let command = vec!["python3".into(), stand_in.into()];
        let urls = urls();
        ProcessSettings::new(
            self.layout(),
            command,
            urls.url_template,
            urls.port_url_template,
        )
    }

    pub(crate) fn cluster(&self) -> ProcessCluster {
        ProcessCluster::new(self.settings())
    }

    pub(crate) async fn manager(
        &self,
        cluster: ProcessCluster,
        content: impl ContentStore,
    ) -> Manager {
        let records = FileRecords::open(self.layout().instances()).await.unwrap();
        Manager::open(
            Adapters::new(records, cluster, content),
            urls(),
            Clock::system(),
        )
        .await
        .unwrap()
    }

    pub(crate) fn content(&self) -> PathBuf {
        self.layout().content(&WORKSPACE.into()).unwrap()
    }
}

pub(crate) fn urls() -> Settings {
    let workspace = "http://{{ .Prefix }}.ws.localhost:8080/".parse().unwrap();
    Settings::new(
        workspace,
        "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost:8080/"
            .parse()
            .unwrap(),
    )
}

pub(crate) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

/// An instance of a workspace that runs the shell script `run`.
pub(crate) fn spec(instance: &str, run: &str) -> Spec {
    let mut spec = Spec::new(id(instance), WORKSPACE.into(), Timestamp::UNIX_EPOCH);
    spec.env = vec![EnvVar::new("RUN", run)];
    spec
}

pub(crate) async fn next(updates: &mut Subscription<StatusUpdate>) -> StatusUpdate {
    tokio::time::timeout(PATIENCE, updates.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

pub(crate) async fn until(
    updates: &mut Subscription<StatusUpdate>,
    phase: UpdatePhase,
) -> StatusUpdate {
    loop {
        let update = next(updates).await;
        if update.phase == phase {
            return update;
        }
        assert_ne!(
            update.phase,
            UpdatePhase::Stopped,
            "{:?}",
            update.conditions
        );
    }
}

/// Waits until `path` can be read, and gives what is in it.
pub(crate) async fn file(path: &Path) -> String {
    eventually(|| {
        std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
    .await
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it happens in time")
}
