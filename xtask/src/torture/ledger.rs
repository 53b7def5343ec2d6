//! What was promised: every acknowledgement, written down by those who heard it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What may be said of a workspace after what was acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expected {
    /// It runs, as the instance that was named.
    Running,
    /// Its start was acknowledged before it ran: it will, in time.
    Starts,
    /// It is stopped, and stays so.
    Stopped,
    /// A start or stop was cut off: it runs or is stopped, as a whole.
    Open,
    /// A deletion was cut off: it is gone, or runs, or is stopped; as a whole.
    MayBeGone,
}

/// A workspace that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    /// The newest run that was acknowledged.
    pub(super) instance: String,
    pub(super) token: String,
    pub(super) expected: Expected,
    /// Whether it was seen to run, with its files in place.
    pub(super) has_run: bool,
    /// What was written into its files, by name.
    pub(super) files: BTreeMap<String, String>,
}

impl Entry {
    /// What `gitpod start -o json` said of it.
    pub(super) fn of(told: &serde_json::Value, expected: Expected) -> Self {
        let mut entry = Self {
            id: text(told, "id"),
            instance: String::new(),
            token: String::new(),
            expected,
            has_run: false,
            files: BTreeMap::new(),
        };
        entry.runs_as(told, expected);
        entry
    }

    /// Another run of it was told of.
    pub(super) fn runs_as(&mut self, told: &serde_json::Value, expected: Expected) {
        self.instance = text(told, "instance_id");
        self.token = text(told, "owner_token");
        self.expected = expected;
        self.has_run |= expected == Expected::Running;
    }
}

/// A text of a JSON object; empty if it has none of that name.
pub(super) fn text(object: &serde_json::Value, name: &str) -> String {
    let found = object.get(name).and_then(serde_json::Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// All promises of one installation. A slot is a place for a workspace, with a repository of its own.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) slots: Vec<Option<Entry>>,
    pub(super) deleted: Vec<String>,
    /// Creations that were sent and not answered: each may have made a workspace.
    pub(super) open_creations: usize,
    /// When each stop was recorded, by instance.
    pub(super) stops: BTreeMap<String, String>,
    /// Promises that were broken before the kill.
    pub(super) broken: Vec<String>,
    pub(super) acknowledged: usize,
    /// Answers that came from workspaces.
    pub(super) answers: usize,
    /// Where `up` listens now; absent while it is being killed.
    pub(super) address: Option<SocketAddr>,
}

impl Promises {
    pub(super) fn slot(&mut self, number: usize) -> &mut Option<Entry> {
        if number >= self.slots.len() {
            self.slots.resize(number + 1, None);
        }
        // Present by what was just done; a stray number would be a mistake of a client.
        match self.slots.get_mut(number) {
            Some(slot) => slot,
            None => unreachable!("slots were made"),
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }
}

/// [`Promises`] that clients, traffic and checks share.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Promises>);

impl Ledger {
    pub(super) fn open(&self) -> MutexGuard<'_, Promises> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `up` lives, as far as the killer has not begun.
    pub(super) fn is_up(&self) -> bool {
        self.open().address.is_some()
    }

    /// Notes a broken promise, unless it was broken by the kill.
    pub(super) fn complain(&self, what: impl Into<String>) {
        let mut promises = self.open();
        if promises.address.is_some() {
            promises.broken.push(what.into());
        }
    }
}
