//! What happens to an instance in a test.

use gitpod_lifecycle::{StatusUpdate, UpdateBool, UpdatePhase};
use gitpod_routing::{IdError, InstanceId, WorkspaceId};

use crate::store::{StoreError, WorkspaceStore};
use crate::workspace::{NewInstance, NewWorkspace};

/// An ordinary life of instance `id`, from `Pending` to `Stopped`, in versions 1 to 6.
#[must_use]
pub fn history(id: &InstanceId) -> Vec<StatusUpdate> {
    let phases = [
        UpdatePhase::Pending,
        UpdatePhase::Creating,
        UpdatePhase::Initializing,
        UpdatePhase::Running,
        UpdatePhase::Stopping,
        UpdatePhase::Stopped,
    ];
    let numbered = (1..).zip(phases);
    numbered
        .map(|(version, phase)| status(id, phase, version))
        .collect()
}

/// Instance `id` in `phase`, as version `version` says.
pub(super) fn status(id: &InstanceId, phase: UpdatePhase, version: u64) -> StatusUpdate {
    let mut status = StatusUpdate::new(id.as_str(), phase);
    status.status_version = version;
    status.conditions.deployed = UpdateBool::from(version > 1);
    status
}

/// The names that tests use. They are well formed; the error says if not.
pub(super) fn names() -> Result<(WorkspaceId, InstanceId), StoreError> {
    let other = |error: IdError| StoreError::Other(error.into());
    let workspace = "pink-panda-ns35kd21".parse().map_err(other)?;
    Ok((workspace, instance("run-1")?))
}

pub(super) fn instance(name: &str) -> Result<InstanceId, StoreError> {
    name.parse()
        .map_err(|error: IdError| StoreError::Other(error.into()))
}

/// A workspace with an instance of which nothing was reported yet.
pub(super) async fn pending(
    store: &impl WorkspaceStore,
) -> Result<(WorkspaceId, InstanceId), StoreError> {
    let (workspace, instance) = names()?;
    let new = NewWorkspace::new(workspace.clone(), "https://example.com/repo.git").with_owner("u1");
    store.create_workspace(new).await?;
    let new = NewInstance::new(instance.clone(), workspace.clone(), CLUSTER);
    store.create_instance(new).await?;
    Ok((workspace, instance))
}

/// Where instances of tests run.
pub(super) const CLUSTER: &str = "c1";

/// Shuffles lists, each seed in its own way, the same one each time.
#[derive(Clone, Debug)]
pub struct Shuffle(u64);

impl Shuffle {
    /// The way of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0 % limit).unwrap_or_default()
    }

    /// `items` in another order, some of them twice.
    #[must_use]
    pub fn with_repetitions<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut shuffled = items.to_vec();
        let repeated = items.iter().filter(|_| self.below(2) == 0);
        let repeated: Vec<_> = repeated.cloned().collect();
        shuffled.extend(repeated);
        for last in (1..shuffled.len()).rev() {
            shuffled.swap(last, self.below(last + 1));
        }
        shuffled
    }
}
