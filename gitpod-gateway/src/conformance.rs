//! What every adapter must do.

use crate::signer::{CaSigner, SignerError};

/// Checks that `signer` keeps the contract of [`CaSigner`]. It signs three messages, twice each.
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
pub async fn check_ca_signer(signer: &dyn CaSigner) -> Result<(), Violation> {
    let key = signer.public_key();
    for message in [&b""[..], b"details", &[0xFF; 4096]] {
        let signature = signer.sign(message).await?;
        if !key.has_signed(message, &signature) {
            return Err(Violation::Rule(
                "a signature is of exactly the given bytes, by its key",
            ));
        }
        let again = signer.sign(message).await?;
        if again != signature {
            return Err(Violation::Rule("the same bytes have the same signature"));
        }
    }
    match signer.public_key() == key {
        true => Ok(()),
        false => Err(Violation::Rule("the public key never changes")),
    }
}

/// What an implementation does wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It breaks a rule of the contract.
    #[error("rule broken: {0}")]
    Rule(&'static str),
    /// It did not sign.
    #[error("signer failed")]
    Failed(#[from] SignerError),
    /// It did not read or write.
    #[cfg(feature = "network")]
    #[error("store failed")]
    Store(#[from] crate::StoreError),
}

/// Checks that `store`, which must be empty, keeps the contract of [`NetworkStore`](crate::NetworkStore).
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
#[cfg(feature = "network")]
pub async fn check_network_store(store: &dyn crate::NetworkStore) -> Result<(), Violation> {
    use crate::{StoreError, Write};
    use serde_json::json;

    let refused = |result: Result<(), StoreError>, key: &str, rule| match result {
        Err(StoreError::Conflict(at)) if at == key => Ok(()),
        Err(StoreError::Conflict(_)) | Ok(()) => Err(Violation::Rule(rule)),
        Err(why) => Err(Violation::Store(why)),
    };
    let holds = |right: bool, rule| right.then_some(()).ok_or(Violation::Rule(rule));

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
    refused(
        store.commit(late).await,
        "A#1",
        "a change is of the revision that was read",
    )?;
    let gone = vec![Write::change("A#9", 1, json!(4))];
    refused(
        store.commit(gone).await,
        "A#9",
        "what is not there has no revision",
    )?;
    let item = store.get("A#1").await?;
    let newest = item.is_some_and(|item| item.value == json!(3) && item.revision == 2);
    holds(newest, "the last commit is seen, with the next revision")?;

    let twice = vec![Write::remove("A#1"), Write::create("A#1", json!(5))];
    let impossible = matches!(store.commit(twice).await, Err(StoreError::Impossible(_)));
    holds(impossible, "a commit writes each record once")?;

    store
        .commit(vec![Write::create("A#10", json!(6)), Write::remove("B#1")])
        .await?;
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
