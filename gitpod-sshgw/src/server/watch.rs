//! Ends sessions whose time has come, and tells that others are used.

use std::sync::Arc;

use gitpod_routing::RunState;
use russh::Disconnect;
use tokio::time::Instant;

use super::metrics;
use super::session::{Login, Phase, Session};
use crate::authenticate::{Authenticated, Standing};
use crate::observer::SessionEnd;

/// Watches over one session. Call [`look`](Self::look) every so often.
#[derive(Debug)]
pub(crate) struct Watch {
    session: Arc<Session>,
    seen: (u64, u64, u64),
    last_use: Instant,
    reported: Option<Instant>,
    unreported: bool,
    /// Since when the workspace's server is gone.
    lost: Option<Instant>,
}

/// Why a session ends, and what its client is told.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) why: SessionEnd,
    pub(crate) reason: Disconnect,
    pub(crate) text: String,
}

impl Watch {
    pub(crate) fn new(session: Arc<Session>, now: Instant) -> Self {
        Self {
            session,
            seen: (0, 0, 0),
            last_use: now,
            reported: None,
            unreported: false,
            lost: None,
        }
    }

    /// What there is to do at `now`.
    pub(crate) async fn look(&mut self, now: Instant) -> Option<End> {
        let session = Arc::clone(&self.session);
        let login = session.login()?;
        self.report_use(login, now);
        metrics::held(session.shared.pool.held());
        if login.place.is_none() {
            return Some(too_many(&session, login));
        }
        if let Some(end) = self.is_revoked(login).await {
            return Some(end);
        }
        if let Some(end) = self.is_lost(login, now) {
            return Some(end);
        }
        let phase = *session.phase.borrow();
        let busy = session.traffic.has_open_channels();
        match phase {
            Phase::Open => {}
            // Who has just logged in is about to open a channel.
            Phase::Draining(_) if busy || now <= login.since + PATIENCE => {}
            Phase::Draining(parting) | Phase::Closed(parting) => {
                return Some(End::new(SessionEnd::Shutdown, parting.at_end()));
            }
        }
        let is_there = session.proof().is_some_and(Authenticated::is_running);
        if !is_there && !session.is_held() && !busy && now > login.since + PATIENCE {
            // Without a session channel, this is all that can be told.
            let text = super::explain::why_not(&session).unwrap_or_default();
            return Some(End::new(SessionEnd::Stopped, &text));
        }
        let idle = session.shared.limits.idle?;
        (now > self.last_use + idle).then(|| {
            let text = format!("nothing was sent for {} s", idle.as_secs());
            End::new(SessionEnd::Idle, &text)
        })
    }

    /// Reports what was not, when the session is over.
    pub(crate) fn finish(&mut self) {
        let session = Arc::clone(&self.session);
        if let Some(login) = session.login() {
            let used = session.traffic.uses() != self.seen;
            self.unreported |= used || self.reported.is_none();
            metrics::held(session.shared.pool.held());
            let proof = session.proof().unwrap_or(&login.proof);
            if self.unreported && proof.is_running() {
                session.shared.activity.active(proof.info());
            }
        }
    }

    fn report_use(&mut self, login: &Login, now: Instant) {
        let uses = self.session.traffic.uses();
        let first = self.reported.is_none(); // to come is a use
        self.last_use = self.last_use.max(login.since);
        if uses != self.seen {
            self.seen = uses;
            self.last_use = now;
            self.unreported = true;
        }
        let pause = self.session.shared.limits.activity;
        let due = self.reported.is_none_or(|reported| now >= reported + pause);
        let proof = self.session.proof().unwrap_or(&login.proof);
        if (self.unreported || first) && due && proof.is_running() {
            self.session.shared.activity.active(proof.info());
            self.reported = Some(now);
            self.unreported = false;
        }
    }

    /// Whether the workspace's server is gone, and nobody has said why for a while.
    fn is_lost(&mut self, login: &Login, now: Instant) -> Option<End> {
        if !self.session.link.is_lost() {
            self.lost = None;
            return None;
        }
        let since = *self.lost.get_or_insert(now);
        (now >= since + PATIENCE / 2).then(|| {
            let id = &login.proof.info().id;
            let text = format!("the connection into workspace {id} was lost; connect again");
            End::new(SessionEnd::Lost, &text)
        })
    }

    async fn is_revoked(&self, login: &Login) -> Option<End> {
        if self.session.is_held() {
            return None; // it is decided anew when the workspace runs
        }
        let authenticate = &self.session.shared.authenticate;
        let (id, start) = (&login.proof.info().id, &self.session.shared.start_command);
        let (proof, right) = match self.session.hold.woken() {
            Some(woken) => (&woken.proof, &woken.right),
            None => (&login.proof, &login.right),
        };
        match authenticate.again(proof, right).await {
            Standing::Stands | Standing::Unknown => None,
            Standing::Gone(now) if proof.is_running() => {
                let text = match now {
                    RunState::Stopping => format!(
                        "workspace {id} is stopping; once it has stopped, start it with: {start} {id}"
                    ),
                    RunState::Stopped => {
                        format!("workspace {id} has stopped; start it with: {start} {id}")
                    }
                    _ => format!("workspace {id} was started anew; connect again"),
                };
                Some(End::new(SessionEnd::Stopped, &text))
            }
            Standing::Gone(_) => Some(End::new(
                SessionEnd::Stopped,
                &format!("workspace {id} has changed; connect again"),
            )),
            Standing::Revoked => Some(End::new(
                SessionEnd::Revoked,
                &format!("what you logged in with opens workspace {id} no longer"),
            )),
        }
    }
}

/// That there are too many sessions in the workspace.
pub(crate) fn too_many(session: &Session, login: &Login) -> End {
    let limit = session.shared.limits.sessions_per_workspace;
    let id = &login.proof.info().id;
    let text = format!(
        "workspace {id} has {limit} SSH connections already; close one, or share one with ControlMaster"
    );
    End::new(SessionEnd::TooMany, &text)
}

/// That a stranger has tried often enough.
///
/// **Source:** reason and words as in the reference system.
pub(crate) fn too_many_attempts() -> End {
    metrics::refused("login_attempts");
    End {
        why: SessionEnd::Client,
        reason: Disconnect::ProtocolError,
        text: "too many authentication failures".to_owned(),
    }
}

impl End {
    fn new(why: SessionEnd, text: &str) -> Self {
        Self {
            why,
            reason: Disconnect::ByApplication,
            text: text.to_owned(),
        }
    }
}

/// How long a client of a stopped workspace may take to open a channel.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
