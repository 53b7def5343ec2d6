//! Promises about workspaces.

use gitpod_lifecycle::UpdatePhase;
use serde_json::json;

use super::history::{CLUSTER, instance, names, pending, status};
use super::{Broken, Store, ensure};
use crate::map::{Origin, plan};
use crate::phase::{InstancePhase, StopOrigin};
use crate::plan::Outcome;
use crate::store::StoreError;
use crate::sweep::mark_stopped;
use crate::workspace::{NewInstance, NewWorkspace};

pub(super) async fn rows_of_workspaces_are_kept(store: &impl Store) -> Result<(), Broken> {
    let (id, run) = names()?;
    let new = NewWorkspace::new(id.clone(), "/home/me/ünïcode repo")
        .with_owner("u'1")
        .with_description("a \"line\"\nor two")
        .with_definition(json!({"branch": "main", "depth": 1, "none": null}));
    let made = store.create_workspace(new.clone()).await?;
    let again = store.create_workspace(new).await;
    let taken = matches!(again, Err(StoreError::AlreadyExists(_)));
    ensure("the name of a workspace is unique", taken, again)?;
    let read = store.workspace(&id).await?;
    let same = read
        .as_ref()
        .is_some_and(|read| read.workspace == made && read.latest.is_none());
    ensure("a workspace is read back as it was made", same, read)?;
    let row = store
        .create_instance(NewInstance::new(run.clone(), id.clone(), CLUSTER))
        .await?;
    ensure(
        "an instance begins as pending",
        row.state.phase == InstancePhase::Pending,
        &row,
    )?;
    ensure("an instance knows its owner", row.owner_id == "u'1", &row)?;
    let listed = store.workspaces().await?;
    let latest = listed.first().and_then(|record| record.latest.as_ref());
    ensure(
        "the list shows the latest instance",
        latest == Some(&row),
        &listed,
    )?;
    let live = store.live_instances().await?;
    ensure(
        "an instance that has not stopped is live",
        live == [row],
        live,
    )
}

pub(super) async fn workspace_can_be_defined_anew(store: &impl Store) -> Result<(), Broken> {
    let (workspace, _) = pending(store).await?;
    let definition = json!({"depth": 2, "it's": "new"});
    let redefined = store
        .redefine_workspace(&workspace, definition.clone())
        .await?;
    ensure("a workspace is defined anew", redefined, ())?;
    let read = store.workspace(&workspace).await?;
    let kept = read
        .as_ref()
        .is_some_and(|read| read.workspace.definition == definition && read.latest.is_some());
    ensure(
        "its definition is the new one, and the rest as before",
        kept,
        read,
    )?;
    store.delete_workspace(&workspace).await?;
    let gone = store.redefine_workspace(&workspace, definition).await?;
    ensure("what is gone is not defined anew", !gone, gone)
}

pub(super) async fn one_instance_runs_at_a_time(store: &impl Store) -> Result<(), Broken> {
    let (workspace, first) = names()?;
    let new = NewInstance::new(first.clone(), workspace.clone(), CLUSTER);
    let orphan = store.create_instance(new).await;
    let refused = matches!(orphan, Err(StoreError::NotFound(_)));
    ensure("an instance needs a workspace", refused, orphan)?;
    pending(store).await?;
    let new = NewInstance::new(instance("run-2")?, workspace, CLUSTER);
    let second = store.create_instance(new.clone()).await;
    let refused =
        matches!(&second, Err(StoreError::StillRuns { instance, .. }) if *instance == first);
    ensure("no second instance while one runs", refused, second)?;
    stop(store, "run-1").await?;
    store.create_instance(new).await?;
    Ok(())
}

pub(super) async fn newest_instance_is_the_latest(store: &impl Store) -> Result<(), Broken> {
    let (workspace, _) = pending(store).await?;
    stop(store, "run-1").await?;
    for name in ["run-9", "run-5", "run-7"] {
        let new = NewInstance::new(instance(name)?, workspace.clone(), CLUSTER);
        let made = store.create_instance(new).await?;
        let record = store.workspace(&workspace).await?;
        let latest = record.and_then(|record| record.latest);
        let same = latest.as_ref() == Some(&made);
        ensure("the latest instance is the one made last", same, latest)?;
        stop(store, name).await?;
    }
    let live = store.live_instances().await?;
    ensure("stopped instances are not live", live.is_empty(), live)
}

pub(super) async fn deleted_workspace_leaves_nothing(store: &impl Store) -> Result<(), Broken> {
    let (workspace, run) = pending(store).await?;
    ensure(
        "a workspace is deleted",
        store.delete_workspace(&workspace).await?,
        (),
    )?;
    let again = store.delete_workspace(&workspace).await?;
    ensure("what is gone is not deleted again", !again, again)?;
    let left = store.instance(&run).await?;
    ensure("its instances are gone", left.is_none(), left)?;
    let late = status(&run, UpdatePhase::Running, 9);
    let origin = Origin::new(CLUSTER);
    let decided = store
        .transact(&run, &|row, now| plan(row, &late, now, &origin))
        .await?;
    let unknown = decided.outcome == Outcome::UnknownInstance;
    ensure(
        "late statuses of it are of an unknown instance",
        unknown,
        decided,
    )?;
    let all = store.workspaces().await?;
    ensure("it is not listed", all.is_empty(), all)
}

async fn stop(store: &impl Store, name: &str) -> Result<(), StoreError> {
    let id = instance(name)?;
    let decide = |row: Option<&crate::InstanceRow>, now| match row {
        Some(row) => mark_stopped(row, now, StopOrigin::External, "told so"),
        None => crate::Plan::nothing(Outcome::UnknownInstance),
    };
    store.transact(&id, &decide).await.map(drop)
}
