//! Tests that every provider and connector has to pass, also yours.
//!
//! Each panics with a sentence if a promise of the trait is broken.
//!
//! ```
//! # use gitpod_routing::{InstanceId, MemoryProvider, OwnerToken, WorkspaceInfo, conformance};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gitpod_routing::IdError> {
//! let instance: InstanceId = "i-1".parse()?;
//! let info = WorkspaceInfo::new("pink-panda-ns35kd21".parse()?, instance, OwnerToken::new("t"));
//! let provider = MemoryProvider::new();
//! provider.insert(info.clone());
//!
//! conformance::provider_finds(&provider, &info).await;
//! conformance::provider_knows_what_is_not_there(&provider, &"no-such-workspace0".parse()?).await;
//! # Ok(())
//! # }
//! ```
#![expect(
    clippy::panic,
    reason = "these are tests, in a place where others can call them"
)]

use crate::id::WorkspaceId;
use crate::info::{Lookup, WorkspaceInfo, WorkspaceInfoProvider};

/// A workspace that exists is found under its id, the same way each time and from the cache.
///
/// `expected` is what the store behind `provider` holds.
///
/// # Panics
///
/// If the answer is another one.
pub async fn provider_finds(provider: &dyn WorkspaceInfoProvider, expected: &WorkspaceInfo) {
    for _ in 0..2 {
        compare(provider.workspace_info(&expected.id).await, expected);
        if let Some(cached) = provider.cached(&expected.id) {
            compare(cached, expected);
        }
    }
}

/// A workspace that certainly does not exist is `Ok(None)`, and no error.
///
/// # Panics
///
/// If the answer is another one.
pub async fn provider_knows_what_is_not_there(
    provider: &dyn WorkspaceInfoProvider,
    absent: &WorkspaceId,
) {
    let waited = Some(provider.workspace_info(absent).await);
    for answer in [waited, provider.cached(absent)].into_iter().flatten() {
        if !matches!(answer, Ok(None)) {
            panic!("a workspace that does not exist is Ok(None), and the answer was {answer:?}");
        }
    }
}

/// A question that is given up does not spoil the next one.
///
/// # Panics
///
/// If the next answer is another one than `expected`.
pub async fn provider_survives_a_dropped_question(
    provider: &dyn WorkspaceInfoProvider,
    expected: &WorkspaceInfo,
) {
    drop(provider.workspace_info(&expected.id));
    compare(provider.workspace_info(&expected.id).await, expected);
}

/// A provider that tells of changes tells of one that `change` makes. One that tells of
/// none passes.
///
/// # Panics
///
/// Never: it waits for ever if it is not told. Give it a time limit.
pub async fn provider_tells_of_a_change(
    provider: &dyn WorkspaceInfoProvider,
    change: impl Future<Output = ()>,
) {
    let Some(mut changes) = provider.changes() else {
        return;
    };
    change.await;
    changes.changed().await;
}

fn compare(answer: Lookup, expected: &WorkspaceInfo) {
    let info = match answer {
        Ok(Some(info)) => info,
        other => panic!(
            "workspace {} is there, and the answer was {other:?}",
            expected.id
        ),
    };
    let same = info.id == expected.id
        && info.instance == expected.instance
        && info.state == expected.state
        && info.address == expected.address
        && info.admission == expected.admission
        && info.ports == expected.ports
        && info
            .owner_token
            .matches(expected.owner_token.expose().as_bytes())
            != expected.owner_token.expose().is_empty();
    if !same {
        panic!("the store holds {expected:?}, and the answer was {info:?}");
    }
}

#[cfg(feature = "proxy")]
pub use self::connector::{connector_reaches, connector_tells_what_does_not_listen};

#[cfg(feature = "proxy")]
mod connector;

#[cfg(feature = "sign-in")]
pub use self::links::{share_store_remembers_and_forgets, used_links_are_used_once};

#[cfg(feature = "sign-in")]
mod links;

#[cfg(feature = "wake")]
pub use self::starter::starter_starts_one_run;

#[cfg(feature = "wake")]
mod starter;
