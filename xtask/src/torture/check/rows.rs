//! What the database says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use super::Live;
use super::processes::Complaints;

/// The rows that matter.
#[derive(Debug, Default)]
pub(super) struct Rows {
    workspaces: BTreeSet<String>,
    instances: Vec<Instance>,
    once: BTreeSet<String>,
    unpublished: usize,
}

#[derive(Debug)]
struct Instance {
    id: String,
    workspace: String,
    phase: String,
    stopped_at: Option<String>,
}

impl Rows {
    pub(super) async fn read(database: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let workspaces = sqlx::query("SELECT id FROM workspace")
            .fetch_all(&mut connection)
            .await?;
        let instances = sqlx::query(
            "SELECT id, workspace_id, phase, stopped_at FROM workspace_instance ORDER BY id",
        )
        .fetch_all(&mut connection)
        .await?;
        let once = sqlx::query("SELECT key FROM bridge_once")
            .fetch_all(&mut connection)
            .await?;
        let unpublished = sqlx::query("SELECT id FROM bridge_outbox")
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self {
            workspaces: workspaces.iter().map(|row| row.get(0)).collect(),
            instances: instances.iter().map(instance).collect(),
            once: once.iter().map(|row| row.get(0)).collect(),
            unpublished: unpublished.len(),
        })
    }

    /// Compares with what runs and what exists, and with when `stops` were recorded before;
    /// notes those that are new.
    pub(super) fn complaints(
        &self,
        live: &[Live],
        kept: &BTreeSet<String>,
        stops: &mut BTreeMap<String, String>,
    ) -> Complaints {
        let mut complaints = Complaints::default();
        for orphan in self.workspaces.symmetric_difference(kept) {
            complaints
                .not_yet
                .push(format!("rows and list differ in workspace {orphan}"));
        }
        let mut running = BTreeSet::new();
        for instance in &self.instances {
            let (id, told) = (&instance.id, self.stop_was_told(&instance.id));
            match &instance.stopped_at {
                Some(at) => {
                    let before = stops.entry(id.clone()).or_insert_with(|| at.clone());
                    if before != at {
                        let text = format!("the stop of {id} is recorded again: {before}, {at}");
                        complaints.never.push(text);
                    }
                    if !told {
                        let text = format!("the stop of {id} is recorded, and told to nobody");
                        complaints.never.push(text);
                    }
                }
                None if stops.contains_key(id) => {
                    complaints
                        .never
                        .push(format!("{id} had stopped, and lives"));
                }
                None => {
                    if !running.insert(&instance.workspace) {
                        let text = format!("two runs of {}", instance.workspace);
                        complaints.never.push(text);
                    }
                    if !live.iter().any(|live| live.instance == *id) {
                        let text = format!("row of {id} says {}, and it is not", instance.phase);
                        complaints.not_yet.push(text);
                    }
                }
            }
        }
        if self.unpublished > 0 {
            let text = format!("{} announcements are not published", self.unpublished);
            complaints.not_yet.push(text);
        }
        complaints
    }

    fn stop_was_told(&self, instance: &str) -> bool {
        self.once.contains(&format!("bridge-wsstopped-{instance}"))
    }
}

fn instance(row: &sqlx::sqlite::SqliteRow) -> Instance {
    Instance {
        id: row.get(0),
        workspace: row.get(1),
        phase: row.get(2),
        stopped_at: row.get(3),
    }
}
