//! Serving, and the two ways in which it ends: everything stops, or somebody else goes on.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use gitpod_bridge::SqliteStore;
use gitpod_lifecycle::Manager;
use gitpod_routing::Wakes;
use gitpod_sshgw::Parting;
use support::serve::Ending;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::commands::Commands;
use super::doors::Doors;
use super::end::End;
use super::event::Addresses;
use super::page::{Front, Page};
use super::replace::{
    self, Followed, Kept, NotTaken, Offer, Passing, Secret, Successor, Switch, SwitchedStarter,
    Target,
};
use super::wire::System;
use crate::exit::Failure;
use crate::print;
use crate::state_dir::{HeldStateDir, METRICS, SOCKET};
use crate::workspaces::Workspaces;

/// Where it all comes in, and what is held meanwhile.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) http: TcpListener,
    pub(super) addresses: Addresses,
    pub(super) commands: UnixListener,
    pub(super) held: HeldStateDir,
    pub(super) offer: Offer,
    /// Known to the one before.
    pub(super) secret: Secret,
}

/// Those who have come in, also before somebody wanted to take over and did not.
#[derive(Clone, Debug)]
pub(super) struct Guests {
    /// Serves them.
    served: TaskTracker,
    /// How often serving has begun.
    round: u32,
    switch: Switch,
    /// Their time begins to run: somebody else serves, or the end was asked for.
    hurry: CancellationToken,
    /// How long that is.
    drain: Duration,
}

impl Guests {
    pub(super) fn new(drain: Duration) -> Self {
        let served = TaskTracker::new();
        served.close(); // which lets it be waited for
        Self {
            served,
            round: 0,
            switch: Switch::new(),
            hurry: CancellationToken::new(),
            drain,
        }
    }

    /// `front`, for those who come in now.
    fn passing<S>(&self, front: S, secret: Secret) -> Passing<S> {
        Passing::new(front, secret, self.round, self.switch.clone())
    }

    /// Serving begins anew. Those who are there stay.
    pub(super) fn again(&mut self) {
        self.round += 1;
    }

    /// Answers those who wait at `wakes` when there is no time left, instead of cutting them off.
    async fn answer_held(self, wakes: Wakes) {
        self.hurry.cancelled().await;
        sleep(self.drain).await;
        wakes.close();
    }

    /// Waits until their time begins to run. Why?
    async fn parting(self, end: End) -> Parting {
        self.hurry.cancelled().await;
        match end.is_asked() {
            true => Parting::Shutdown,
            false => Parting::HandOver,
        }
    }
}

impl System {
    /// Serves until the end is asked for, then stops all workspaces and writes that down; or until somebody else
    /// takes over, whom `handed_over` is told of, and then for as long as connections that are left may last.
    pub(super) async fn run(
        self,
        entrance: Entrance,
        guests: &Guests,
        end: &End,
        handed_over: impl FnOnce(u32),
    ) -> Result<Outcome, Failure> {
        let ssh_listener = self.ssh.listener();
        let kept = Kept::of(
            &entrance.http,
            ssh_listener,
            &entrance.commands,
            &entrance.secret,
        )?;
        let commands = Commands::serve(entrance.commands, &self);
        // The page has names of its own; all others are those of workspaces.
        let front = Front::new(&self.page, self.proxy);
        let front = guests.passing(front, entrance.secret);
        let no_logins = CancellationToken::new();
        let parting = guests.clone().parting(end.clone());
        let ssh = self.ssh.serve(self.gateway, no_logins.clone(), parting);
        guests.served.spawn(ssh);
        tokio::spawn(guests.clone().answer_held(self.followed.wakes.clone()));
        let (taken, mut successor) = oneshot::channel();
        let wait = Waiting {
            end: end.clone(),
            offer: entrance.offer,
            kept,
            taken,
            address: entrance.addresses.http,
            guests: guests.clone(),
            starter: Arc::clone(&self.followed.starter),
            page: self.page,
            no_logins,
        };
        let (http, listener) = (self.http, entrance.http.into());
        let served = async move { http.serve_until(listener, front, wait.for_either()).await };
        guests.served.spawn(served);
        let owned = Owned {
            manager: self.manager,
            store: self.store,
            accounting: self.accounting,
            commands,
            held: entrance.held,
        };

        let mut served = pin!(future::maybe_done(guests.served.wait()));
        let taken = tokio::select! {
            taken = &mut successor => taken.ok(),
            () = &mut served => successor.try_recv().ok(),
        };
        let Some((successor, kept)) = taken else {
            either(&mut served, end.asked_again()).await;
            owned.stop(&self.workspaces).await?;
            return Ok(Outcome::Ended);
        };
        let handed = tokio::select! {
            handed = owned.hand_over(&successor, kept, self.followed) => handed,
            () = end.asked() => return Ok(Outcome::Ended),
        };
        if let Err((kept, why)) = handed {
            return Outcome::take_back(kept, &successor, why);
        }
        guests.hurry.cancel();
        handed_over(successor.pid);
        either(&mut served, end.asked()).await;
        Ok(Outcome::Ended)
    }
}

/// Waits for the first of both.
async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}

/// Waits for the end, of which there are two.
struct Waiting {
    end: End,
    offer: Offer,
    kept: Kept,
    taken: oneshot::Sender<(Successor, Kept)>,
    address: SocketAddr,
    guests: Guests,
    starter: Arc<SwitchedStarter>,
    page: Page,
    no_logins: CancellationToken,
}

impl Waiting {
    async fn for_either(self) -> Ending {
        let (page, no_logins) = (self.page.clone(), self.no_logins.clone());
        let ending = self.wait().await;
        page.close();
        no_logins.cancel();
        ending
    }

    async fn wait(self) -> Ending {
        let successor = tokio::select! {
            () = self.end.asked() => {
                self.guests.hurry.cancel();
                return Ending::Stop;
            }
            successor = self.offer.taken() => successor,
        };
        self.starter.hold();
        // What is asked from now on is the other one's business.
        let to = Target::new(self.address, successor.secret.clone());
        self.guests.switch.turn(self.guests.round, to);
        let _waits = self.taken.send((successor, self.kept));
        Ending::HandOver(self.guests.hurry)
    }
}

/// How serving has ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With all that there is to do.
    Ended,
    /// Somebody wanted to take over and is gone: everything is to be opened again, for these sockets, and for
    /// who knows this secret. Workspaces and connections that are left go on.
    TakenBack(Doors, Secret),
}

impl Outcome {
    fn take_back(kept: Kept, successor: &Successor, why: NotTaken) -> Result<Self, Failure> {
        print::note(&format!(
            "warning: process {} wanted to take over and {why}; this one goes on",
            successor.pid
        ));
        let believed = successor.secret.clone().and(kept.believed());
        let doors = kept.reopen();
        let doors = doors.map_err(|why| {
            Failure::failed("cannot go on after a failed replacement")
                .because(&why)
                .fix("start `gitpod up` again; workspaces are adopted")
        })?;
        Ok(Self::TakenBack(doors, believed))
    }
}

/// What one process at a time may have.
struct Owned {
    manager: Manager,
    store: SqliteStore,
    /// See [`System`].
    accounting: Vec<(CancellationToken, JoinHandle<()>)>,
    commands: Commands,
    held: HeldStateDir,
}

impl Owned {
    /// Stops all workspaces, and writes that down.
    async fn stop(self, workspaces: &Workspaces) -> Result<(), Failure> {
        let stopped = workspaces.stop_all().await;
        self.commands.end().await;
        account_for_all(self.accounting).await;
        self.store.close().await;
        self.held
            .remove_sockets(&[SOCKET, METRICS, replace::SOCKET]);
        stopped.map_err(|why| Failure::failed("not all workspaces were stopped").because(&why))
    }

    /// Lets go of everything, gives `kept` away, and follows what `successor` says from then on. Workspaces go on.
    /// `kept` comes back if the successor did not get ready; nothing of it is left then.
    async fn hand_over(
        self,
        successor: &Successor,
        kept: Kept,
        followed: Followed,
    ) -> Result<(), (Kept, NotTaken)> {
        self.commands.end().await;
        self.manager.close().await;
        account_for_all(self.accounting).await;
        self.store.close().await;
        let socket = self.held.path().join(SOCKET);
        drop(self.held);
        tokio::spawn(followed.follow(socket));
        let taken = match successor.give(&kept).await {
            Ok(()) => successor.takes_over().await,
            Err(_) => Err(NotTaken::Ended),
        };
        if let Err(why) = taken {
            successor.see_off().await;
            return Err((kept, why));
        }
        Ok(())
    }
}

/// Bridge and relay end in this order: one has to see every stop, the other what that has written.
async fn account_for_all(accounting: Vec<(CancellationToken, JoinHandle<()>)>) {
    for (end, task) in accounting {
        end.cancel();
        // Fails only if it has panicked, which it has said.
        let _ = task.await;
    }
}
