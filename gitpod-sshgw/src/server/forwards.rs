//! What a client asked the workspace to open towards it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Channels that the workspace may open towards the client: those it was asked for.
///
/// A workspace is hostile. What no client asked for does not reach a client, whether
/// or not that would refuse it.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    ports: Mutex<HashSet<u32>>,
    sockets: Mutex<HashSet<String>>,
    agent: AtomicBool,
    display: AtomicBool,
}

impl Forwards {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn listens(&self, port: u32) {
        with(&self.ports, |ports| ports.insert(port));
    }

    pub(crate) fn listens_no_longer(&self, port: u32) {
        with(&self.ports, |ports| ports.remove(&port));
    }

    pub(crate) fn may_connect(&self, port: u32) -> bool {
        with(&self.ports, |ports| ports.contains(&port))
    }

    pub(crate) fn listens_at(&self, path: &str) {
        with(&self.sockets, |sockets| sockets.insert(path.to_owned()));
    }

    pub(crate) fn listens_no_longer_at(&self, path: &str) {
        with(&self.sockets, |sockets| sockets.remove(path));
    }

    pub(crate) fn may_connect_at(&self, path: &str) -> bool {
        with(&self.sockets, |sockets| sockets.contains(path))
    }

    pub(crate) fn lend_agent(&self) {
        self.agent.store(true, Ordering::Relaxed);
    }

    pub(crate) fn may_use_agent(&self) -> bool {
        self.agent.load(Ordering::Relaxed)
    }

    pub(crate) fn lend_display(&self) {
        self.display.store(true, Ordering::Relaxed);
    }

    pub(crate) fn may_use_display(&self) -> bool {
        self.display.load(Ordering::Relaxed)
    }
}

fn with<T, R>(set: &Mutex<T>, change: impl FnOnce(&mut T) -> R) -> R {
    change(&mut set.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}
