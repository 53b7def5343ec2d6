//! Promises of stores behind links.

use std::time::{Duration, SystemTime};

use crate::id::WorkspaceId;
use crate::links::{ShareStore, Use, UsedLinks};
use crate::share::{Share, ShareId, ShareScope};

/// What was added is found and listed as it was, and what was removed is not.
///
/// `store` has no share of `workspace` nor of `other`, and has none of them afterwards.
///
/// # Panics
///
/// If it answers otherwise.
pub async fn share_store_remembers_and_forgets(
    store: &dyn ShareStore,
    workspace: &WorkspaceId,
    other: &WorkspaceId,
) {
    // Whole seconds, since many stores have no finer ones.
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let share = |number, of: &WorkspaceId, age| {
        let created = began + Duration::from_secs(age);
        let expires = created + Duration::from_secs(3600);
        Share::new(ShareId::from_u128(number), of.clone(), created, expires)
    };
    let old = share(u128::MAX, workspace, 1);
    let new = share(1, workspace, 2).with_scope(ShareScope::Port(65_535));
    let elsewhere = share(2, other, 0);
    for one in [&new, &old, &elsewhere] {
        done(store.add(one.clone()).await);
        done(store.add(one.clone()).await); // a repeat changes nothing
    }
    for one in [&new, &old, &elsewhere] {
        let found = done(store.find(one.id).await);
        if found.as_ref() != Some(one) {
            panic!("{one:?} was added, and found was {found:?}");
        }
    }
    let listed = done(store.of_workspace(workspace).await);
    if listed != [old.clone(), new.clone()] {
        panic!("a listing has the shares of one workspace, oldest first, and was {listed:?}");
    }
    for one in [&new, &old, &elsewhere] {
        let mut changes = store.changes();
        done(store.remove(one.id).await);
        done(store.remove(one.id).await); // a repeat is well
        if let Some(changes) = &mut changes {
            changes.changed().await; // or waits for ever
        }
        if let Some(found) = done(store.find(one.id).await) {
            panic!("{found:?} was removed");
        }
    }
    if let [first, ..] = done(store.of_workspace(workspace).await).as_slice() {
        panic!("{first:?} was removed");
    }
}

/// A link is used once, whatever other links are used.
///
/// # Panics
///
/// If it is not.
pub async fn used_links_are_used_once(used: &dyn UsedLinks) {
    let until = SystemTime::now() + Duration::from_secs(60);
    for number in [1, u128::MAX] {
        for expected in [Use::First, Use::Again, Use::Again] {
            let got = done(used.use_up(number, until).await);
            if got != expected {
                panic!("use of link {number} is {expected:?}, and was {got:?}");
            }
        }
    }
}

fn done<T, E: std::fmt::Debug>(answer: Result<T, E>) -> T {
    answer.unwrap_or_else(|why| panic!("the store works, and said {why:?}"))
}
