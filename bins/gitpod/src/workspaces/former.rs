//! Whose owner is known after somebody else has had a workspace started.
//!
//! Each run has a token of its own, and whoever comes to a stopped workspace has nothing but that of
//! the run before. So it counts for a while longer, and that is written down before the new run
//! begins: it outlives `up` as the tokens themselves do, which stand in the rows of their runs.

use gitpod_bridge::{InstanceRow, InstanceStore, WorkspaceRecord};
use gitpod_routing::{FormerOwner, InstanceId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Definition, WorkspaceError, Workspaces, definition};

/// A run whose owner is still known by its token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Former {
    instance: String,
    until: Timestamp,
}

/// Who has started the next run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StartedBy {
    /// Its owner, who is told of its token: earlier ones are worth nothing any more.
    Owner,
    /// Somebody who came.
    Visitor,
}

/// As long as the proxy takes the cookie of a former run: browsers come back with it once, and
/// get the new one.
const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// More runs within that time are not remembered. Chosen by us.
const MOST: usize = 32;

impl Definition {
    /// Who is known after the run `ended`, once `by` has started the next one.
    pub(super) fn former_after(
        &self,
        ended: Option<&InstanceRow>,
        by: StartedBy,
        now: Timestamp,
    ) -> Vec<Former> {
        let Some(ended) = ended.filter(|_| by == StartedBy::Visitor) else {
            return Vec::new();
        };
        let until = now.checked_add(LASTS).unwrap_or(now);
        let mut known = self.former.clone();
        known.retain(|former| former.instance != ended.id.as_str());
        match has_run(ended) {
            true => known.retain(|former| now < former.until),
            // Nobody has come as far as to be told of its token.
            false => known.iter_mut().for_each(|former| former.until = until),
        }
        known.push(Former {
            instance: ended.id.to_string(),
            until,
        });
        if known.len() > MOST {
            known.remove(1); // the first may be the last that ran
        }
        known
    }
}

/// Whether the run of `row` came as far as to run.
pub(super) fn has_run(row: &InstanceRow) -> bool {
    row.state.started_at.is_some()
}

impl Workspaces {
    /// Writes down who is known once `by` has started the next run of the workspace of `record`,
    /// whose turn it is, and tells routing.
    pub(super) async fn keep_former(
        &self,
        record: &WorkspaceRecord,
        by: StartedBy,
    ) -> Result<Definition, WorkspaceError> {
        let workspace = &record.workspace;
        let mut definition = definition::of(workspace);
        let former = definition.former_after(record.latest.as_ref(), by, Timestamp::now());
        if former != definition.former {
            definition.former = former;
            self.redefine(workspace, |kept| {
                kept.former.clone_from(&definition.former);
            })
            .await?;
        }
        let owners = self.former_owners(&definition).await?;
        self.shared.routes.set_former(&workspace.id, owners);
        Ok(definition)
    }

    /// The last run that ran, of the workspace whose latest one is that of `row`: what is so
    /// of its ports holds until another one runs.
    pub(super) async fn last_that_ran(&self, row: &InstanceRow) -> Option<InstanceRow> {
        if has_run(row) {
            return Some(row.clone());
        }
        let found = self.shared.store.last_that_ran(&row.workspace_id).await;
        found.unwrap_or_else(|why| {
            tracing::warn!(%why, "former runs are not known");
            None
        })
    }

    /// Who is known beside the owner of the latest run.
    pub(super) async fn former_owners(
        &self,
        definition: &Definition,
    ) -> Result<Vec<FormerOwner>, WorkspaceError> {
        let mut owners = Vec::new();
        for former in &definition.former {
            let instance: InstanceId = former.instance.parse()?;
            let row = self.shared.store.instance(&instance).await?;
            let token = row.and_then(|row| row.state.owner_token);
            owners.extend(token.map(|token| {
                let token = token.as_owner_token().clone();
                FormerOwner::new(instance, token).until(former.until.into())
            }));
        }
        Ok(owners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> InstanceRow {
        let workspace = "pink-panda-ns35kd21".parse().unwrap();
        let began = Timestamp::UNIX_EPOCH;
        let mut row = InstanceRow::new(name.parse().unwrap(), workspace, "local", began);
        row.state.started_at = Some(began).filter(|_| !name.ends_with("failed"));
        row
    }

    fn names(definition: &Definition) -> Vec<&str> {
        let former = definition.former.iter();
        former.map(|former| former.instance.as_str()).collect()
    }

    #[test]
    fn who_came_is_known_for_ten_minutes_and_until_the_owner_starts_it_herself() {
        let at = |minute| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let mut definition = Definition::default();
        let mut next = |name, by, minute| {
            definition.former = definition.former_after(Some(&run(name)), by, at(minute));
            names(&definition).join(" ")
        };
        assert_eq!(next("i-1", StartedBy::Visitor, 0), "i-1");
        assert_eq!(next("i-2", StartedBy::Visitor, 9), "i-1 i-2");
        assert_eq!(next("i-3", StartedBy::Visitor, 10), "i-2 i-3");
        assert_eq!(next("i-4", StartedBy::Owner, 11), "");
        assert_eq!(next("i-5", StartedBy::Visitor, 12), "i-5");
        // Of runs that never ran, nobody knows the token, whenever it was.
        assert_eq!(next("i-6-failed", StartedBy::Visitor, 90), "i-5 i-6-failed");
        assert_eq!(next("i-7", StartedBy::Visitor, 99), "i-5 i-6-failed i-7");
        assert_eq!(next("i-8", StartedBy::Visitor, 100), "i-7 i-8");
    }
}
