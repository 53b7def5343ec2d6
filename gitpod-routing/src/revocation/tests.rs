use async_trait::async_trait;
use tokio::time::{Duration, Instant, timeout};

use std::time::SystemTime;

use super::*;
use crate::access::Access;
use crate::host::HostTarget;
use crate::info::{Admission, Lookup, PortInfo, ProviderError};
use crate::layers::Located;
use crate::links::MemoryShares;
use crate::memory::MemoryProvider;
use crate::secret::OwnerToken;
use crate::service::WorkspaceService;
use crate::share::Share;

fn info() -> WorkspaceInfo {
    let id = "pink-panda-ns35kd21".parse().unwrap();
    WorkspaceInfo::new(id, "i-1".parse().unwrap(), OwnerToken::new("s3cret"))
        .running_at([10, 0, 0, 1].into())
        .with_ports(vec![PortInfo::new(3000).public()])
}

fn permit(info: WorkspaceInfo, access: Access) -> Permit {
    let target = HostTarget::port(info.id.clone(), 3000);
    let located = Located::new(target, Arc::new(info));
    Permit::new(located, WorkspaceService::Port(3000), access)
}

/// Whether `lease` ends within a second.
async fn ends(lease: &Lease) -> bool {
    timeout(Duration::from_secs(1), lease.revoked())
        .await
        .is_ok()
}

#[tokio::test(start_paused = true)]
async fn attack_35_each_right_is_lost_by_what_it_depends_on_and_nothing_else() {
    let private = info().with_ports(vec![PortInfo::new(3000)]);
    let mut other_token = info();
    other_token.owner_token = OwnerToken::new("another");
    let mut stopping = info();
    stopping.state = crate::info::RunState::Stopping;
    let mut other_run = info();
    other_run.instance = "i-2".parse().unwrap();
    let moved = info().running_at([10, 0, 0, 2].into());
    let mut other_owner = info();
    other_owner.owner = "somebody".into();
    // What is said next; whether a guest and the owner go on.
    let cases = [
        ("port made private", Some(private.clone()), false, true),
        (
            "shared with all as well",
            Some(private.with_admission(Admission::Everyone)),
            true,
            true,
        ),
        ("new token", Some(other_token), true, false),
        ("stopping", Some(stopping), false, false),
        ("new run", Some(other_run), false, false),
        ("new address", Some(moved), false, false),
        ("gone", None, false, false),
        ("nothing that matters", Some(other_owner), true, true),
    ];
    for (what, next, guest_goes_on, owner_goes_on) in cases {
        let workspaces = MemoryProvider::new();
        workspaces.insert(info());
        let revocation = Revocation::new(Arc::new(workspaces.clone()));
        let guest = revocation.watch(&permit(info(), Access::Anonymous));
        let owner = revocation.watch(&permit(info(), Access::Owner));
        assert!(!ends(&guest).await && !ends(&owner).await, "{what}");
        match next {
            Some(next) => workspaces.insert(next),
            None => workspaces.remove(&info().id),
        }
        assert_eq!(ends(&guest).await, !guest_goes_on, "guest: {what}");
        assert_eq!(ends(&owner).await, !owner_goes_on, "owner: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_35_what_changed_before_a_stream_opened_ends_it_at_once() {
    let workspaces = MemoryProvider::new();
    let revocation = Revocation::new(Arc::new(workspaces.clone()));
    let late = revocation.watch(&permit(info(), Access::Owner));
    assert!(late.is_revoked());
    workspaces.insert(info());
    assert!(
        !revocation
            .watch(&permit(info(), Access::Owner))
            .is_revoked()
    );
}

#[tokio::test(start_paused = true)]
async fn attack_35_visitors_of_a_share_that_is_revoked_or_expires_are_cut() {
    let workspaces = MemoryProvider::new();
    let private = || info().with_ports(vec![PortInfo::new(3000)]);
    workspaces.insert(private());
    let shares = MemoryShares::new();
    let now = SystemTime::now();
    let share = |number, lifetime| {
        let id = ShareId::from_u128(number);
        Share::new(id, info().id, now, now + Duration::from_secs(lifetime))
    };
    for number in [1, 2] {
        shares.add(share(number, 3600)).await.unwrap();
    }
    let revocation = Revocation::new(Arc::new(workspaces)).with_shares(Arc::new(shares.clone()));
    let visit = |number| {
        let access = Access::Shared(ShareId::from_u128(number));
        revocation.watch(&permit(private(), access))
    };
    let (first, second) = (visit(1), visit(2));
    assert!(!ends(&first).await);
    shares.remove(ShareId::from_u128(1)).await.unwrap();
    assert!(ends(&first).await);
    assert!(!ends(&second).await);
    shares.add(share(2, 0)).await.unwrap(); // which tells nobody
    assert!(ends(&second).await);
    assert!(ends(&visit(1)).await, "opened after it was revoked");
}

#[tokio::test(start_paused = true)]
async fn attack_35_who_has_two_rights_goes_on_with_the_other_one() {
    let workspaces = MemoryProvider::new();
    workspaces.insert(info());
    let shares = MemoryShares::new();
    let (id, now) = (ShareId::from_u128(1), SystemTime::now());
    let share = Share::new(id, info().id, now, now + Duration::from_secs(3600));
    shares.add(share.clone()).await.unwrap();
    let revocation = Revocation::new(Arc::new(workspaces.clone()));
    let revocation = revocation.with_shares(Arc::new(shares.clone()));
    let visit = || {
        let target = HostTarget::port(info().id, 3000);
        let mut located = Located::new(target, Arc::new(info()));
        located.visitor = Some(Arc::new(share.clone()));
        let port = WorkspaceService::Port(3000);
        revocation.watch(&Permit::new(located, port, Access::Anonymous))
    };
    let private = || info().with_ports(vec![PortInfo::new(3000)]);

    let lease = visit();
    workspaces.insert(private());
    assert!(!ends(&lease).await, "the share stands");
    workspaces.insert(info());
    assert!(!ends(&lease).await);
    shares.remove(id).await.unwrap();
    assert!(!ends(&lease).await, "the port is public");
    workspaces.insert(private());
    assert!(ends(&lease).await, "nothing is left");
}

/// Has nothing at hand, and tells of no changes.
#[derive(Debug, Default)]
struct Mute {
    answer: Mutex<Option<WorkspaceInfo>>,
    asked: std::sync::atomic::AtomicUsize,
    is_down: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl WorkspaceInfoProvider for Mute {
    async fn workspace_info(&self, _id: &WorkspaceId) -> Lookup {
        use std::sync::atomic::Ordering::SeqCst;
        self.asked.fetch_add(1, SeqCst);
        if self.is_down.load(SeqCst) {
            return Err(ProviderError::NotReady);
        }
        Ok(self.answer.lock().unwrap().clone().map(Arc::new))
    }
}

#[tokio::test(start_paused = true)]
async fn provider_that_tells_nothing_is_asked_and_one_that_is_down_ends_nothing() {
    use std::sync::atomic::Ordering::SeqCst;
    let provider = Arc::new(Mute::default());
    *provider.answer.lock().unwrap() = Some(info());
    let revocation = Revocation::new(Arc::clone(&provider) as Arc<dyn WorkspaceInfoProvider>);
    let lease = revocation.watch(&permit(info(), Access::Owner));
    assert!(!ends(&lease).await);
    provider.is_down.store(true, SeqCst);
    *provider.answer.lock().unwrap() = None;
    assert!(!ends(&lease).await);
    provider.is_down.store(false, SeqCst);
    assert!(ends(&lease).await);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_while_nothing_is_open() {
    use std::sync::atomic::Ordering::SeqCst;
    let provider = Arc::new(Mute::default());
    *provider.answer.lock().unwrap() = Some(info());
    let revocation = Revocation::new(Arc::clone(&provider) as Arc<dyn WorkspaceInfoProvider>);
    let lease = revocation.watch(&permit(info(), Access::Owner));
    assert!(!ends(&lease).await);
    assert!(provider.asked.load(SeqCst) >= 2, "while it is open");
    drop(lease);
    let _none = timeout(Duration::from_secs(2), std::future::pending::<()>()).await;
    let asked = provider.asked.load(SeqCst);
    assert!(!revocation.0.lock().is_swept);
    let began = Instant::now();
    let _none = timeout(Duration::from_secs(3600), std::future::pending::<()>()).await;
    assert!(began.elapsed() >= Duration::from_secs(3600));
    assert_eq!(provider.asked.load(SeqCst), asked);
}

#[test]
fn streams_of_a_runtime_that_ended_do_not_leave_the_others_unwatched() {
    let workspaces = MemoryProvider::new();
    workspaces.insert(info());
    let revocation = Revocation::new(Arc::new(workspaces.clone()));
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let of_ended = runtime().block_on(async { revocation.watch(&permit(info(), Access::Owner)) });
    runtime().block_on(async {
        let lease = revocation.watch(&permit(info(), Access::Owner));
        workspaces.remove(&info().id);
        assert!(ends(&lease).await && ends(&of_ended).await);
    });
}
