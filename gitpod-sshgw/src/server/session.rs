//! One client's connection, and what its parts share.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use gitpod_routing::{ActivitySink, Wakes, WorkspaceId};
use russh::{ChannelOpenFailure, client, server};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::count::{Place, Places};
use super::flow::Flow;
use super::forwards::Forwards;
use super::hold::Hold;
use super::link::Link;
use super::metrics::Connected;
use super::parting::Parting;
use super::pool::Pool;
use super::switch::Switch;
use crate::authenticate::{Authenticate, Authenticated};
use crate::credential::Right;
use crate::limits::SshLimits;
use crate::observer::{SessionInfo, SessionObserver};
use crate::policy::{ChannelAsk, ChannelPolicy};
use crate::upstream::UpstreamConnector;

/// What all connections of a gateway share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) authenticate: Authenticate,
    pub(crate) connector: Arc<dyn UpstreamConnector>,
    pub(crate) activity: Arc<dyn ActivitySink>,
    pub(crate) observer: Arc<dyn SessionObserver>,
    pub(crate) policy: Arc<dyn ChannelPolicy>,
    pub(crate) limits: SshLimits,
    pub(crate) start_command: Arc<str>,
    pub(crate) wakes: Option<Wakes>,
    pub(crate) of_clients: Arc<server::Config>,
    pub(crate) of_workspaces: Arc<client::Config>,
    pub(crate) strangers: Places<IpAddr>,
    pub(crate) sessions: Places<WorkspaceId>,
    pub(crate) numbers: AtomicU64,
    /// For what waits until somebody reads it.
    pub(crate) pool: Pool,
}

/// Whether the gateway goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// It does.
    Open,
    /// Sessions may finish what they do.
    Draining(Parting),
    /// They may not.
    Closed(Parting),
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: SocketAddr,
    pub(crate) switch: Switch,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) link: Link,
    pub(crate) hold: Hold,
    /// Of what the client sends.
    pub(crate) flow: Arc<Flow>,
    pub(crate) forwards: Forwards,
    pub(crate) traffic: Traffic,
    /// Something happened that may be the end of it.
    pub(crate) nudge: Notify,
    used_up: AtomicBool,
    login: OnceLock<Login>,
}

/// Who was let in.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) proof: Authenticated,
    pub(crate) right: Right,
    pub(crate) info: SessionInfo,
    pub(crate) since: Instant,
    /// Speaks to the client.
    pub(crate) client: server::Handle,
    /// Among those of the workspace, if there was one.
    pub(crate) place: Option<Place<WorkspaceId>>,
    pub(crate) _connected: Connected,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        peer: SocketAddr,
        switch: Switch,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            shared,
            peer,
            switch,
            phase,
            link: Link::new(),
            hold: Hold::default(),
            flow: Arc::default(),
            forwards: Forwards::default(),
            traffic: Traffic::default(),
            nudge: Notify::new(),
            used_up: AtomicBool::new(false),
            login: OnceLock::new(),
        }
    }

    /// The client has tried to log in as often as it may.
    pub(crate) fn attempts_are_used_up(&self) {
        self.used_up.store(true, Ordering::Relaxed);
        self.nudge.notify_one();
    }

    /// Whether it has.
    pub(crate) fn has_no_attempts(&self) -> bool {
        self.used_up.load(Ordering::Relaxed)
    }

    /// Who was let in, once somebody was.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.get()
    }

    /// The proof that holds now: of the run that was waited for, if one was.
    pub(crate) fn proof(&self) -> Option<&Authenticated> {
        let woken = self.hold.woken().map(|woken| &woken.proof);
        woken.or_else(|| self.login().map(|login| &login.proof))
    }

    /// `login` was let in. There is only one first time.
    pub(crate) fn admit(&self, login: Login) {
        drop(self.login.set(login));
    }

    pub(crate) fn allows(&self, what: &ChannelAsk<'_>) -> bool {
        let policy = &self.shared.policy;
        // That variable is ours: a client does not say where it is itself.
        *what != ChannelAsk::Variable(CLIENT_ADDRESS)
            && self.proof().is_some_and(|proof| policy.allows(proof, what))
    }

    /// Runs `work` on its own, until it is done or the connection ends.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let switch = self.switch.clone();
        tokio::spawn(async move { switch.until_over(work).await });
    }

    /// A place for one more channel, from either side, if that is `allowed`.
    pub(crate) fn take_channel(
        self: &Arc<Self>,
        allowed: bool,
    ) -> Result<OpenChannel, ChannelOpenFailure> {
        if !allowed {
            return Err(ChannelOpenFailure::AdministrativelyProhibited);
        }
        let open = &self.traffic.open;
        if open.fetch_add(1, Ordering::Relaxed) >= self.shared.limits.channels_per_session {
            open.fetch_sub(1, Ordering::Relaxed);
            super::metrics::refused("channels_per_session");
            return Err(ChannelOpenFailure::ResourceShortage);
        }
        self.traffic.opened.fetch_add(1, Ordering::Relaxed);
        Ok(OpenChannel(Arc::clone(self)))
    }
}

/// Counts a channel while it is open.
#[derive(Debug)]
pub(crate) struct OpenChannel(Arc<Session>);

impl OpenChannel {
    pub(crate) const fn session(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.0.traffic.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What went through the channels of a connection.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
    pub(crate) open: AtomicUsize,
    pub(crate) opened: AtomicU64,
}

impl Traffic {
    pub(crate) fn went_up(&self, bytes: usize) {
        self.up.fetch_add(count(bytes), Ordering::Relaxed);
    }

    pub(crate) fn went_down(&self, bytes: usize) {
        self.down.fetch_add(count(bytes), Ordering::Relaxed);
    }

    /// What shows that somebody is there: bytes in either direction, and channels opened.
    /// Both ends ask each other whether they are alive, without a trace here.
    pub(crate) fn uses(&self) -> (u64, u64, u64) {
        let (up, down) = self.so_far();
        (up, down, self.opened.load(Ordering::Relaxed))
    }

    /// Bytes up and down so far.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (load(&self.up), load(&self.down))
    }

    pub(crate) fn has_open_channels(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn has_several_channels(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 1
    }
}

/// The variable in which the gateway tells the workspace where the client of a program is.
pub(crate) const CLIENT_ADDRESS: &str = "GITPOD_SSH_CLIENT";

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
