//! What the client lets the workspace do towards itself, and what it has asked the
//! workspace to listen for.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::timeout;

use super::hold::settle;
use super::link::Link;
use super::metrics;
use super::requests::PATIENCE;
use super::session::Session;
use crate::policy::ChannelAsk;

/// What the client asked for. What no client asked for does not reach a client, whether
/// or not that would refuse it.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    listening: Mutex<HashSet<At>>,
    agent: AtomicBool,
    display: AtomicBool,
}

/// Where a workspace listens for the client.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum At {
    /// A port. Servers do not agree on how to name its address.
    Port(u32),
    /// A unix socket.
    Socket(String),
}

impl Forwards {
    pub(crate) fn may_connect(&self, at: &At) -> bool {
        self.with(|listening| listening.contains(at))
    }

    fn listens(&self, at: At) {
        self.with(|listening| listening.insert(at));
    }

    /// Whether it was listened there.
    fn listens_no_longer(&self, at: &At) -> bool {
        self.with(|listening| listening.remove(at))
    }

    fn count(&self) -> usize {
        self.with(|listening| listening.len())
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

    fn with<T>(&self, change: impl FnOnce(&mut HashSet<At>) -> T) -> T {
        let listening = self.listening.lock();
        change(&mut listening.unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// Lets the workspace listen on a port, and says which: 0 is any.
pub(crate) async fn listen(session: &Arc<Session>, address: &str, port: u32) -> Option<u32> {
    if !may_listen(session, &ChannelAsk::Listen { address, port }) {
        return None;
    }
    let asked = async {
        settle(session).await.ok()?;
        let lane = Link::lane(session).await.ok()?;
        lane.handle.tcpip_forward(address, port).await.ok()
    };
    let chosen = in_time(asked).await?;
    let port = if port == 0 { chosen } else { port };
    session.forwards.listens(At::Port(port));
    Some(port)
}

/// The same for a unix socket.
pub(crate) async fn listen_at(session: &Arc<Session>, path: &str) -> bool {
    if !may_listen(session, &ChannelAsk::ListenSocket(path)) {
        return false;
    }
    let asked = async {
        settle(session).await.ok()?;
        let lane = Link::lane(session).await.ok()?;
        lane.handle.streamlocal_forward(path).await.ok()
    };
    let granted = in_time(asked).await.is_some();
    if granted {
        session.forwards.listens(At::Socket(path.to_owned()));
    }
    granted
}

/// Lets the workspace listen on a port no longer.
pub(crate) async fn cancel(session: &Arc<Session>, address: &str, port: u32) -> bool {
    if !session.forwards.listens_no_longer(&At::Port(port)) {
        return false;
    }
    let asked = async {
        settle(session).await.ok()?;
        let lane = Link::lane(session).await.ok()?;
        lane.handle.cancel_tcpip_forward(address, port).await.ok()
    };
    in_time(asked).await.is_some()
}

/// The same for a unix socket.
pub(crate) async fn cancel_at(session: &Arc<Session>, path: &str) -> bool {
    let at = At::Socket(path.to_owned());
    if !session.forwards.listens_no_longer(&at) {
        return false;
    }
    let asked = async {
        settle(session).await.ok()?;
        let lane = Link::lane(session).await.ok()?;
        lane.handle.cancel_streamlocal_forward(path).await.ok()
    };
    in_time(asked).await.is_some()
}

fn may_listen(session: &Session, ask: &ChannelAsk<'_>) -> bool {
    if !session.allows(ask) {
        return false;
    }
    let has_room = session.forwards.count() < session.shared.limits.listeners_per_session;
    if !has_room {
        metrics::refused("listeners_per_session");
    }
    has_room
}

async fn in_time<T>(asked: impl Future<Output = Option<T>>) -> Option<T> {
    timeout(PATIENCE, asked).await.ok().flatten()
}
