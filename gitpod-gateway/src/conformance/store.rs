//! What every [`NetworkStore`] must do.

use serde_json::json;

use super::Violation;
use crate::store::{NetworkStore, StoreError, Write};

/// Checks that `store`, which must be empty, keeps the contract of [`NetworkStore`].
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
pub async fn check_network_store(store: &dyn NetworkStore) -> Result<(), Violation> {
    holds(
        store.get("A#1").await?.is_none(),
        "what was never written is not there",
    )?;
    let both = vec![
        Write::create("A#1", json!(1)),
        Write::create("B#1", json!({"x": null})),
    ];
    store.commit(both).await?;
    let revision = store.get("A#1").await?.map(|item| item.revision);
    holds(revision == Some(1), "a new record has revision 1")?;
    check_conditions(store).await?;
    check_list(store).await
}

async fn check_conditions(store: &dyn NetworkStore) -> Result<(), Violation> {
    let half = vec![
        Write::create("A#2", json!(2)),
        Write::create("A#1", json!(2)),
    ];
    refused(store.commit(half).await, "A#1", "a record is made once")?;
    holds(
        store.get("A#2").await?.is_none(),
        "all writes are done, or none",
    )?;

    store
        .commit(vec![Write::change("A#1", 1, json!(3))])
        .await?;
    let late = vec![Write::change("A#1", 1, json!(4))];
    let rule = "a change is of the revision that was read";
    refused(store.commit(late).await, "A#1", rule)?;
    let gone = vec![Write::change("A#9", 1, json!(4))];
    let rule = "what is not there has no revision";
    refused(store.commit(gone).await, "A#9", rule)?;
    let item = store.get("A#1").await?;
    let newest = item.is_some_and(|item| item.value == json!(3) && item.revision == 2);
    holds(newest, "the last commit is seen, with the next revision")?;

    let twice = vec![Write::remove("A#1"), Write::create("A#1", json!(5))];
    let impossible = matches!(store.commit(twice).await, Err(StoreError::Impossible(_)));
    holds(impossible, "a commit writes each record once")
}

async fn check_list(store: &dyn NetworkStore) -> Result<(), Violation> {
    let writes = vec![Write::create("A#10", json!(6)), Write::remove("B#1")];
    store.commit(writes).await?;
    let listed = store.list("A#").await?;
    let keys: Vec<_> = listed.iter().map(|(key, _)| &**key).collect();
    holds(
        keys == ["A#1", "A#10"],
        "a list has all with the prefix, by key",
    )?;
    store.commit(vec![Write::remove("B#1")]).await?;
    holds(
        store.get("B#1").await?.is_none(),
        "removing what is gone succeeds",
    )
}

fn refused(result: Result<(), StoreError>, key: &str, rule: &'static str) -> Result<(), Violation> {
    match result {
        Err(StoreError::Conflict(at)) if at == key => Ok(()),
        Err(StoreError::Conflict(_)) | Ok(()) => Err(Violation::Rule(rule)),
        Err(why) => Err(Violation::Store(why)),
    }
}

fn holds(right: bool, rule: &'static str) -> Result<(), Violation> {
    match right {
        true => Ok(()),
        false => Err(Violation::Rule(rule)),
    }
}
