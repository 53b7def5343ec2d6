//! What `gitpod list` says, beside what was promised.

use std::collections::BTreeMap;

use serde_json::Value;

use super::processes::Complaints;
use crate::torture::ledger::{Entry, Expected, Promises, text};

/// All workspaces, by id.
#[derive(Debug)]
pub(super) struct Listed(pub(super) BTreeMap<String, Value>);

impl Listed {
    pub(super) fn of(list: Value) -> Self {
        let all = match list {
            Value::Array(all) => all,
            _ => Vec::new(),
        };
        Self(all.into_iter().map(|one| (text(&one, "id"), one)).collect())
    }

    pub(super) fn phase(&self, id: &str) -> Option<String> {
        Some(text(self.0.get(id)?, "phase"))
    }

    fn instance(&self, id: &str) -> String {
        self.0
            .get(id)
            .map(|it| text(it, "instance_id"))
            .unwrap_or_default()
    }

    fn failure(&self, id: &str) -> String {
        self.0
            .get(id)
            .map(|it| text(it, "failure"))
            .unwrap_or_default()
    }

    /// Compares with what was promised.
    pub(super) fn complaints(&self, promises: &Promises) -> Complaints {
        let mut complaints = Complaints::default();
        for entry in promises.entries() {
            self.compare(entry, &mut complaints);
        }
        for id in promises
            .deleted
            .iter()
            .filter(|id| self.0.contains_key(*id))
        {
            complaints
                .never
                .push(format!("{id} was deleted, and is back"));
        }
        let known = |id: &&String| promises.entries().any(|entry| entry.id == **id);
        let strangers: Vec<_> = self.0.keys().filter(|id| !known(id)).collect();
        if strangers.len() > promises.open_creations {
            complaints
                .never
                .push(format!("workspaces that nobody made: {strangers:?}"));
        }
        for id in strangers {
            self.must_settle(id, &mut complaints);
        }
        complaints
    }

    fn compare(&self, entry: &Entry, complaints: &mut Complaints) {
        let (id, instance) = (&entry.id, self.instance(&entry.id));
        let Some(phase) = self.phase(id) else {
            if entry.expected != Expected::MayBeGone {
                complaints.never.push(format!("{id} is lost"));
            }
            return;
        };
        let why = self.failure(id);
        match (entry.expected, &*phase) {
            (Expected::Running | Expected::Starts, _) if instance != entry.instance => {
                let text = format!("{id} ran as {}, and now is {instance}", entry.instance);
                complaints.never.push(text);
            }
            (Expected::Running, "running") | (Expected::Stopped, "stopped") => {}
            (Expected::Running, phase) => {
                complaints
                    .never
                    .push(format!("{id} ran, and is {phase} {why}"));
            }
            (Expected::Stopped, phase) => {
                complaints
                    .never
                    .push(format!("{id} was stopped, and is {phase}"));
            }
            (Expected::Starts, "stopping" | "stopped") => {
                complaints
                    .never
                    .push(format!("{id} was to start, and is {phase}: {why}"));
            }
            (Expected::Starts, "running") => {}
            (Expected::Starts, phase) => {
                complaints
                    .not_yet
                    .push(format!("{id} does not start, and is {phase}"));
            }
            (Expected::Open | Expected::MayBeGone, _) => self.must_settle(id, complaints),
        }
    }

    fn must_settle(&self, id: &str, complaints: &mut Complaints) {
        let phase = self.phase(id).unwrap_or_default();
        if !matches!(&*phase, "running" | "stopped") {
            complaints
                .not_yet
                .push(format!("{id} does not settle, and is {phase}"));
        }
    }
}
