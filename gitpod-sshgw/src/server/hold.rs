//! Holds sessions until their workspace, which did not run, does.

use std::sync::Arc;

use gitpod_routing::{NotWoken, RunState, WakePolicy, WorkspaceInfo};
use tokio::sync::OnceCell;

use super::explain::why_not;
use super::session::Session;
use crate::authenticate::Authenticated;
use crate::credential::Right;

/// What became of the workspace of a session that was let in while it did not run.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    end: OnceCell<Result<Woken, String>>,
}

/// Who was let in, as of the run that was waited for.
#[derive(Debug)]
pub(crate) struct Woken {
    pub(crate) proof: Authenticated,
    pub(crate) right: Right,
}

impl Hold {
    /// Who is in, if the workspace was waited for and runs.
    pub(crate) fn woken(&self) -> Option<&Woken> {
        self.end.get().and_then(|end| end.as_ref().ok())
    }

    /// Why waiting was in vain, if it was.
    pub(crate) fn failure(&self) -> Option<&str> {
        let end = self.end.get()?.as_ref();
        end.err().map(String::as_str)
    }
}

impl Session {
    /// Whether the workspace is on its way up, or may be started, for this session.
    pub(crate) fn is_held(&self) -> bool {
        self.hold.end.get().is_none() && self.would_wait()
    }

    fn would_wait(&self) -> bool {
        let Some(login) = self.login() else {
            return false;
        };
        let info = login.proof.info();
        self.shared.wakes.is_some()
            && match info.state {
                RunState::Running => false,
                RunState::Starting => true,
                _ => info.wake != WakePolicy::Never,
            }
    }

    /// What a client is told who has to wait.
    pub(crate) fn word_of_hold(&self) -> String {
        let info = self.login().map(|login| login.proof.info());
        let (id, state) = match info {
            Some(info) => (info.id.as_str(), info.state),
            None => ("", RunState::Starting),
        };
        let text = match state {
            RunState::Starting => "is starting",
            RunState::Stopping => "is stopping, and is started again",
            _ => "was stopped, and is started",
        };
        format!("workspace {id} {text}; this goes on when it runs\r\n")
    }
}

/// Waits until the workspace of `session` runs, and has it started where that is due.
///
/// # Errors
///
/// What to tell the client if it does not run.
pub(crate) async fn settle(session: &Session) -> Result<(), String> {
    if !session.would_wait() {
        return why_not(session).map_or(Ok(()), Err);
    }
    let end = session
        .hold
        .end
        .get_or_init(|| Box::pin(wake(session)))
        .await;
    end.as_ref().map(drop).map_err(Clone::clone)
}

async fn wake(session: &Session) -> Result<Woken, String> {
    let (Some(wakes), Some(login)) = (&session.shared.wakes, session.login()) else {
        return Err(String::new()); // never: it would not have waited
    };
    let before = login.proof.info();
    let runs = wakes.wake(before).await;
    let runs = runs.map_err(|why| in_vain(before, why))?;
    let authenticate = &session.shared.authenticate;
    let carried = authenticate.carry(&login.proof, &login.right, &runs).await;
    let (proof, right) = carried.ok_or_else(|| {
        let id = &before.id;
        format!("workspace {id} was started, and what you logged in with opens it no longer")
    })?;
    Ok(Woken { proof, right })
}

fn in_vain(info: &Arc<WorkspaceInfo>, why: NotWoken) -> String {
    let id = &info.id;
    match why {
        NotWoken::QueueFull => {
            format!("workspace {id} is starting, and too many wait for it; try again in a moment")
        }
        NotWoken::Stopped => format!("somebody stopped workspace {id} while it was starting"),
        NotWoken::Gone => format!("somebody deleted workspace {id} while it was starting"),
        NotWoken::Failed => format!("workspace {id} did not start; look at its logs"),
        _ => format!("workspace {id} is still starting; try again in a moment"),
    }
}
