//! Listens, and serves connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gitpod_routing::{ActivitySink, IgnoreActivity, Wakes};
use russh::server::{RunningSession, run_stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::budget::Budget;
use super::client_side::ClientSide;
use super::config;
use super::count::{Full, Places, source_of};
use super::link::write_patience;
use super::metrics;
use super::parting::Parting;
use super::pool::Pool;
use super::session::{Phase, Session, Shared};
use super::stream::Guarded;
use super::switch::Switch;
use super::watch::{End, Watch, too_many_attempts};
use crate::authenticate::Authenticate;
use crate::limits::SshLimits;
use crate::observer::{IgnoreSessions, SessionEnd, SessionObserver, SessionSummary};
use crate::policy::{ChannelPolicy, UsualChannels};
use crate::private_key::PrivateKey;
use crate::public_key::PublicKey;
use crate::upstream::UpstreamConnector;

/// An SSH server that lets people into workspaces.
///
/// It finds out who a client is, logs in to the SSH server in the workspace, and sends
/// on what either side says, channel by channel. It opens no file, runs no program, and
/// neither listens nor dials for anybody: forwards are the workspace's.
///
/// Cloning copies pointers; clones share limits.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    host_keys: Vec<PrivateKey>,
    phase: watch::Sender<Phase>,
}

impl Gateway {
    /// Lets in whom `authenticate` admits, and reaches workspaces with `connector`.
    ///
    /// Without [host keys](Self::with_host_keys), no client connects.
    #[must_use]
    pub fn new(authenticate: Authenticate, connector: Arc<dyn UpstreamConnector>) -> Self {
        let limits = SshLimits::default();
        Self {
            shared: Arc::new(Shared {
                authenticate,
                connector,
                activity: Arc::new(IgnoreActivity::new()),
                observer: Arc::new(IgnoreSessions::new()),
                policy: Arc::new(UsualChannels::new()),
                of_clients: config::of_clients(&limits, &[]),
                of_workspaces: config::of_workspaces(&limits),
                limits,
                start_command: "gitpod start".into(),
                wakes: None,
                strangers: Places::new(),
                sessions: Places::new(),
                numbers: AtomicU64::new(1),
                pool: Pool::of(limits.held_bytes),
            }),
            host_keys: Vec::new(),
            phase: watch::Sender::new(Phase::Open),
        }
    }

    /// Proves itself with `keys`, of which a client chooses by type.
    #[must_use]
    pub fn with_host_keys(mut self, keys: impl IntoIterator<Item = PrivateKey>) -> Self {
        self.host_keys = keys.into_iter().collect();
        self.with(|_| {})
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(self, limits: SshLimits) -> Self {
        self.with(|shared| shared.limits = limits)
    }

    /// Tells `sink` which workspaces are used: where data goes through channels, in
    /// either direction; keep-alives are no use.
    #[must_use]
    pub fn with_activity(self, sink: Arc<dyn ActivitySink>) -> Self {
        self.with(|shared| shared.activity = sink)
    }

    /// Tells `observer` who comes and goes.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn SessionObserver>) -> Self {
        self.with(|shared| shared.observer = observer)
    }

    /// Lets `policy` decide what may be asked of workspaces.
    #[must_use]
    pub fn with_channel_policy(self, policy: Arc<dyn ChannelPolicy>) -> Self {
        self.with(|shared| shared.policy = policy)
    }

    /// The command that starts a workspace, to which its id is added. Users of stopped
    /// ones are told it.
    #[must_use]
    pub fn with_start_command(self, command: impl Into<Arc<str>>) -> Self {
        self.with(|shared| shared.start_command = command.into())
    }

    /// Has stopped workspaces started by `wakes` for who logs in to them, if they may be,
    /// and holds sessions until they run.
    #[must_use]
    pub fn with_wakes(self, wakes: Wakes) -> Self {
        self.with(|shared| shared.wakes = Some(wakes))
    }

    /// The public halves of its host keys.
    pub fn host_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.host_keys.iter().map(PrivateKey::public_key)
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        let old = &self.shared;
        let mut shared = Shared {
            authenticate: old.authenticate.clone(),
            connector: Arc::clone(&old.connector),
            activity: Arc::clone(&old.activity),
            observer: Arc::clone(&old.observer),
            policy: Arc::clone(&old.policy),
            limits: old.limits,
            start_command: Arc::clone(&old.start_command),
            wakes: old.wakes.clone(),
            of_clients: Arc::clone(&old.of_clients),
            of_workspaces: Arc::clone(&old.of_workspaces),
            strangers: old.strangers.clone(),
            sessions: old.sessions.clone(),
            numbers: AtomicU64::new(1),
            pool: old.pool.clone(),
        };
        change(&mut shared);
        shared.pool = Pool::of(shared.limits.held_bytes);
        shared.of_clients = config::of_clients(&shared.limits, &self.host_keys);
        shared.of_workspaces = config::of_workspaces(&shared.limits);
        self.shared = Arc::new(shared);
        self
    }

    /// Serves whoever connects to `listener`, until `shutdown` is there; then tells
    /// clients, and returns when the last has left or
    /// [`drain`](SshLimits::drain) is over. Dropping the future closes no connection.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let end = async { Parting::Shutdown };
        self.serve_until(listener, shutdown, end).await;
    }

    /// As [`serve`](Self::serve), in two steps: after `no_more` it accepts nobody, and those
    /// who are there notice nothing until `end` says how it ends for them.
    pub async fn serve_until(
        &self,
        listener: TcpListener,
        no_more: impl Future<Output = ()>,
        end: impl Future<Output = Parting>,
    ) {
        let mut connections = JoinSet::new();
        tokio::pin!(no_more, end);
        loop {
            tokio::select! {
                () = &mut no_more => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        // A key stroke is a packet of its own.
                        drop(stream.set_nodelay(true));
                        let gateway = self.clone();
                        connections.spawn(async move { gateway.serve_connection(stream, peer).await });
                    }
                    // Out of file descriptors, say: connections that end free some.
                    Err(why) => {
                        tracing::warn!(%why, "no connection could be accepted");
                        sleep(BREATH).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let parting = loop {
            tokio::select! {
                parting = &mut end => break parting,
                left = connections.join_next() => if left.is_none() { return },
            }
        };
        self.drain(parting, connections).await;
    }

    async fn drain(&self, parting: Parting, mut connections: JoinSet<()>) {
        self.phase.send_replace(Phase::Draining(parting));
        let until = Instant::now() + self.shared.limits.drain;
        while let Ok(Some(_)) = timeout_at(until, connections.join_next()).await {}
        self.phase.send_replace(Phase::Closed(parting));
        let until = Instant::now() + self.shared.limits.recheck + LINGER * 2;
        while let Ok(Some(_)) = timeout_at(until, connections.join_next()).await {}
    }

    /// Serves one client that is at the other end of `stream`, until either has had
    /// enough. `peer` is whom limits count it for.
    pub async fn serve_connection<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = &self.shared.limits;
        let strangers = &self.shared.strangers;
        let source = source_of(peer.ip());
        let place = strangers.take(source, limits.strangers_per_source, limits.strangers);
        let place = match place {
            Ok(place) => place,
            Err(full) => {
                return metrics::refused(match full {
                    Full::Each => "strangers_per_source",
                    Full::All => "strangers",
                });
            }
        };
        let switch = Switch::new();
        let budget = Budget::of(limits.login_bytes);
        let patience = write_patience(limits.keep_alive, limits.keep_alives_missed);
        let pool = self.shared.pool.clone();
        let stream = Guarded::new(stream, switch.clone(), budget.clone(), pool, patience);
        let phase = self.phase.subscribe();
        let session = Session::new(Arc::clone(&self.shared), peer, switch, phase);
        let session = Arc::new(session);
        let side = ClientSide::new(Arc::clone(&session), budget, place);
        let config = Arc::clone(&self.shared.of_clients);
        let until = Instant::now() + limits.login_grace;
        match timeout_at(until, run_stream(config, stream, side)).await {
            Ok(Ok(running)) => watch_over(&session, running, until).await,
            Ok(Err(why)) => tracing::debug!(%why, "client left before it said what it is"),
            Err(_) => metrics::refused("login_grace"),
        }
        session.switch.cut();
        session.link.close().await;
    }
}

/// Waits for the end of a connection, and brings it about where it is due. Whoever was
/// not let in at `until` is sent away.
async fn watch_over(
    session: &Arc<Session>,
    mut running: RunningSession<ClientSide>,
    until: Instant,
) {
    let mut ticks = interval(session.shared.limits.recheck.max(BREATH));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(Arc::clone(session), Instant::now());
    let mut end = SessionEnd::Client;
    loop {
        tokio::select! {
            _ = &mut running => break,
            _ = ticks.tick() => {}
            () = session.nudge.notified() => {}
        }
        let now = Instant::now();
        let due = match session.login() {
            Some(_) => watch.look(now).await,
            None if session.has_no_attempts() => Some(too_many_attempts()),
            None => None,
        };
        if session.login().is_none() && now >= until {
            metrics::refused("login_grace");
            session.switch.cut();
        } else if let Some(due) = due {
            end = due.why;
            send_away(session, due, running).await;
            break;
        }
    }
    watch.finish();
    conclude(session, end);
}

/// Tells the client why, and breaks the connection if it does not leave.
async fn send_away(session: &Arc<Session>, end: End, mut running: RunningSession<ClientSide>) {
    session.switch.end_channels();
    let client = running.handle();
    let told = client.disconnect(end.reason, end.text, "en".to_owned());
    drop(timeout(LINGER, told).await);
    if timeout(LINGER, &mut running).await.is_err() {
        session.switch.cut();
        drop(timeout(LINGER, running).await);
    }
}

fn conclude(session: &Session, end: SessionEnd) {
    let Some(login) = session.login() else { return };
    let (bytes_up, bytes_down) = session.traffic.so_far();
    metrics::moved(bytes_up, bytes_down);
    metrics::ended(end);
    let summary = SessionSummary {
        lasted: login.since.elapsed(),
        bytes_up,
        bytes_down,
        channels: session
            .traffic
            .opened
            .load(std::sync::atomic::Ordering::Relaxed),
        end,
    };
    session.shared.observer.closed(&login.info, &summary);
}

/// How long a client may take to hear that it must go.
const LINGER: Duration = Duration::from_millis(300);
/// How long to wait before something is tried again.
const BREATH: Duration = Duration::from_millis(50);
