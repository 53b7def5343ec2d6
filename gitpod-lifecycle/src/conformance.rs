//! Checks that an adapter keeps what its trait promises.
//!
//! Each function takes a fresh adapter and answers with the first promise that it
//! breaks. They make up names of their own, remove what they made, and wait for
//! changes to be told instead of looking again and again: who does not tell of a
//! change fails.

use std::time::Duration;

use futures_util::StreamExt;
use gitpod_routing::{IdError, InstanceId};
use jiff::Timestamp;
use tokio::time::timeout;
use uuid::Uuid;

use crate::change::{Change, Changes};
use crate::cluster::{Cluster, ContentStage, Created};
use crate::content::{ContentStore, Progress};
use crate::facts::{Facts, RunnerFacts};
use crate::phase::Phase;
use crate::plan::runner_name;
use crate::records::{Record, RecordError, Records};
use crate::spec::{ContentSource, PortSpec, Spec, WorkspaceName};
use crate::status::Status;

/// A promise is broken. Says which one, and what was seen.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

type Outcome = Result<(), Violation>;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks a [`Cluster`].
///
/// # Errors
///
/// The first promise that it breaks.
pub async fn cluster(cluster: impl Cluster) -> Outcome {
    unknown_instances_have_no_runner(&cluster).await?;
    let watched = Watched::new(&cluster, new_spec()?);
    let other = Watched::new(&cluster, new_spec()?);
    watched.runner_is_created_once().await?;
    other.runner_is_created_once().await?;
    watched.runs_once_its_content_is_there().await?;
    watched.stays_visible_until_it_is_released().await?;
    other.is_alive().await?;
    other.stays_visible_until_it_is_released().await // before it ever ran
}

async fn unknown_instances_have_no_runner(cluster: &impl Cluster) -> Outcome {
    let spec = new_spec()?;
    let (id, name) = (&spec.instance, runner_name(&spec));
    let facts = known("facts of an unknown instance", cluster.facts(id).await)?;
    ensure(facts.runners.is_empty(), || {
        format!("an unknown instance has {:?}", facts.runners)
    })?;
    known(
        "deleting an unknown runner",
        cluster.delete(id, &name, None).await,
    )?;
    known(
        "releasing an unknown runner",
        cluster.release(id, &name).await,
    )?;
    known(
        "dropping secrets of an unknown instance",
        cluster.drop_secrets(id).await,
    )
}

/// One instance, and what its platform tells of it.
struct Watched<'a, C> {
    cluster: &'a C,
    spec: Spec,
    name: String,
}

impl<'a, C: Cluster> Watched<'a, C> {
    fn new(cluster: &'a C, spec: Spec) -> Self {
        let name = runner_name(&spec);
        Self {
            cluster,
            spec,
            name,
        }
    }

    async fn runner_is_created_once(&self) -> Outcome {
        let mut changes = self.cluster.changes();
        let first = known(
            "creating",
            self.cluster.create(&self.spec, &self.name).await,
        )?;
        ensure(first == Created::New, || {
            "the first creation says that the runner existed".to_owned()
        })?;
        self.until(&mut changes, "a created runner is seen", |runner| {
            runner.is_some_and(|runner| runner.name == self.name && !runner.is_deleting())
        })
        .await?;
        let again = known(
            "creating again",
            self.cluster.create(&self.spec, &self.name).await,
        )?;
        ensure(again == Created::Existed, || {
            "a second creation makes a second runner".to_owned()
        })
    }

    async fn runs_once_its_content_is_there(&self) -> Outcome {
        let mut changes = self.cluster.changes();
        for stage in [
            ContentStage::Preparing,
            ContentStage::Preparing,
            ContentStage::Ready,
            ContentStage::Ready,
        ] {
            known(
                "telling of content",
                self.cluster.content(&self.spec, stage).await,
            )?;
        }
        self.until(
            &mut changes,
            "a runner with content becomes ready",
            |runner| {
                runner.is_some_and(|runner| {
                    let container = runner.workspace_container();
                    runner.workspace_runs() && container.is_some_and(|container| container.ready)
                })
            },
        )
        .await
    }

    async fn stays_visible_until_it_is_released(&self) -> Outcome {
        let (id, second) = (&self.spec.instance, Duration::from_secs(1));
        let mut changes = self.cluster.changes();
        for grace in [2 * second, second] {
            known(
                "deleting",
                self.cluster.delete(id, &self.name, Some(grace)).await,
            )?;
        }
        self.until(&mut changes, "a deleted runner is seen ended", |runner| {
            runner.is_some_and(|runner| runner.is_deleting() && !runner.workspace_runs())
        })
        .await?;
        let mut changes = self.cluster.changes();
        known("releasing", self.cluster.release(id, &self.name).await)?;
        self.until(&mut changes, "a released runner vanishes", |runner| {
            runner.is_none()
        })
        .await?;
        known(
            "releasing again",
            self.cluster.release(id, &self.name).await,
        )?;
        known(
            "deleting again",
            self.cluster.delete(id, &self.name, Some(second)).await,
        )?;
        known("dropping secrets", self.cluster.drop_secrets(id).await)
    }

    async fn is_alive(&self) -> Outcome {
        let facts = known("facts", self.cluster.facts(&self.spec.instance).await)?;
        let alive = facts.runners.iter().any(|runner| !runner.is_deleting());
        ensure(alive, || "ending one instance ends another one".to_owned())
    }

    /// Waits until `what` is so, looking after each change only.
    async fn until(
        &self,
        changes: &mut Changes,
        what: &str,
        holds: impl Fn(Option<&RunnerFacts>) -> bool,
    ) -> Outcome {
        loop {
            let facts: Facts = known("facts", self.cluster.facts(&self.spec.instance).await)?;
            ensure(facts.runners.len() < 2, || {
                format!("one instance has runners {:?}", facts.runners)
            })?;
            if holds(facts.runners.first()) {
                return Ok(());
            }
            told(changes, &self.spec.instance)
                .await
                .map_err(|why| Violation(format!("{what}: {why}; seen: {:?}", facts.runners)))?;
        }
    }
}

/// Checks [`Records`].
///
/// # Errors
///
/// The first promise that they break.
pub async fn records(records: impl Records) -> Outcome {
    let spec = new_spec()?;
    let (id, mut changes) = (spec.instance.clone(), records.changes());
    let none = known("reading what is not there", records.get(&id).await)?;
    ensure(none.is_none(), || {
        format!("an unknown instance has {none:?}")
    })?;
    known("deleting what is not there", records.delete(&id).await)?;

    let first = known(
        "creating",
        records.create(spec.clone(), Status::new()).await,
    )?;
    told(&mut changes, &id).await?;
    ensure(first.version == 1, || {
        format!("the first version is {}", first.version)
    })?;
    let again = records.create(spec.clone(), Status::new()).await;
    ensure(matches!(again, Err(RecordError::Exists(_))), || {
        format!("creating again answers {again:?}")
    })?;

    let mut changed = first.clone();
    changed.status.phase = Phase::Pending;
    changed.spec.ports.push(PortSpec::new(3000));
    let second = known("replacing", records.replace(changed.clone()).await)?;
    told(&mut changes, &id).await?;
    changed.version = second.version;
    ensure(second == changed && second.version > first.version, || {
        format!("replacing answers {second:?}")
    })?;
    is_changed(&records.replace(first).await)?;
    let kept = known("reading", records.get(&id).await)?;
    ensure(kept.as_ref() == Some(&second), || {
        format!("what was kept is read as {kept:?}")
    })?;
    let all = known("listing", records.list().await)?.records;
    ensure(all.contains(&second), || {
        format!("the record is missing in {all:?}")
    })?;

    known("deleting", records.delete(&id).await)?;
    told(&mut changes, &id).await?;
    known("deleting again", records.delete(&id).await)?;
    is_changed(&records.replace(second).await)?;
    let none = known("reading what was deleted", records.get(&id).await)?;
    ensure(none.is_none(), || {
        format!("a deleted record is read as {none:?}")
    })
}

fn is_changed(answer: &Result<Record, RecordError>) -> Outcome {
    let refused = matches!(answer, Err(RecordError::Changed(_)));
    ensure(refused, || {
        format!("replacing an old version answers {answer:?}")
    })
}

/// Checks a [`ContentStore`] with content from `source`, which exists.
///
/// # Errors
///
/// The first promise that it breaks.
pub async fn content(store: impl ContentStore, source: ContentSource) -> Outcome {
    let mut spec = new_spec()?;
    spec.content = source;
    let progress = Progress::to_nobody();
    known(
        "deleting what is not there",
        store.delete(&spec.workspace).await,
    )?;
    // Given up as soon as it waits for something.
    let _ = timeout(Duration::ZERO, store.prepare(&spec, &progress)).await;
    for what in ["preparing after it was given up", "preparing what is there"] {
        known(what, store.prepare(&spec, &progress).await)?;
    }
    known("putting away", store.finish(&spec).await)?;
    known(
        "preparing what was put away",
        store.prepare(&spec, &progress).await,
    )?;
    for what in ["deleting", "deleting again"] {
        known(what, store.delete(&spec.workspace).await)?;
    }
    known("preparing anew", store.prepare(&spec, &progress).await)?;
    known(
        "deleting what was made anew",
        store.delete(&spec.workspace).await,
    )
}

fn new_spec() -> Result<Spec, Violation> {
    let id = |why: IdError| Violation(why.to_string());
    let instance: InstanceId = Uuid::new_v4().to_string().parse().map_err(id)?;
    let workspace = WorkspaceName::from(Uuid::new_v4().to_string());
    Ok(Spec::new(instance, workspace, Timestamp::UNIX_EPOCH))
}

/// Waits until a change of `instance` is told.
async fn told(changes: &mut Changes, instance: &InstanceId) -> Outcome {
    let next = async {
        while let Some(change) = changes.next().await {
            if change == Change::OfAny || change == Change::Of(instance.clone()) {
                return Ok(());
            }
        }
        Err(Violation("changes end".to_owned()))
    };
    let late = |_| Violation("no change is told".to_owned());
    timeout(PATIENCE, next).await.map_err(late)?
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Violation(otherwise()))
    }
}

fn known<T, E: std::error::Error>(what: &str, answer: Result<T, E>) -> Result<T, Violation> {
    answer.map_err(|why| Violation(format!("{what} fails: {why}")))
}
