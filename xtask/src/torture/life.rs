//! One installation, through some rounds.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::actions::Client;
use super::check;
use super::ledger::Ledger;
use super::place::{PATIENCE, Place, Up};
use super::plan::{Happening, Replacement, Round, Side};
use super::repository::Repository;
use super::traffic::visit;

/// An installation whose `up` runs.
#[derive(Debug)]
pub(super) struct Life {
    place: Arc<Place>,
    ledger: Arc<Ledger>,
    repositories: Vec<Repository>,
    up: Option<Up>,
    /// Those that others have taken over from, until they end.
    replaced: JoinSet<anyhow::Result<()>>,
}

const LOOK_AGAIN: Duration = Duration::from_millis(50);
const CLIENTS: usize = 3;
const SLOTS_PER_CLIENT: usize = 2;
const VISITORS: u64 = 3;
/// What a kill waits for may never happen; then it comes all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Life {
    /// A fresh installation that nobody uses yet.
    pub(super) async fn begin(program: &Path) -> anyhow::Result<Self> {
        let place = Arc::new(Place::new(program)?);
        let slots = 0..CLIENTS * SLOTS_PER_CLIENT;
        let repositories: anyhow::Result<_> = slots
            .map(|slot| Repository::make(place.path(), slot))
            .collect();
        let mut life = Self {
            place,
            ledger: Arc::default(),
            repositories: repositories?,
            up: None,
            replaced: JoinSet::new(),
        };
        life.start().await?;
        Ok(life)
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let mut up = self.place.start()?;
        let address = up.ready().await?;
        self.ledger.open().address = Some(address);
        self.up = Some(up);
        Ok(())
    }

    /// Work, kill, start again, look. Gives what is amiss.
    pub(super) async fn round(&mut self, round: &Round) -> anyhow::Result<Vec<String>> {
        self.work_until_killed(round).await?;
        if self.up.is_none() {
            for after in &round.also_killed {
                let up = self.place.start()?;
                sleep(*after).await;
                up.kill().await?;
            }
            self.start().await?;
        }
        let up = self.up.as_ref().and_then(Up::pid);
        let mut complaints = std::mem::take(&mut self.ledger.open().broken);
        while let Some(ended) = self.replaced.join_next().await {
            let ended = ended.context("whoever waits for its end has panicked")?;
            complaints.extend(ended.err().map(|why| format!("{why:#}")));
        }
        complaints.extend(check::after_restart(&self.place, &self.ledger, up).await);
        if self.place.log_text().contains("panicked at") {
            complaints.push("`gitpod up` has panicked, as its log says".to_owned());
        }
        if complaints.is_empty() {
            check::settle(&self.place, &self.ledger).await?;
            let address = self.ledger.open().address.context("it listens nowhere")?;
            complaints = check::answers(&self.ledger, &self.repositories, address).await;
        }
        Ok(complaints)
    }

    async fn work_until_killed(&mut self, round: &Round) -> anyhow::Result<()> {
        let (happenings, happened) = unbounded_channel();
        let mut work = JoinSet::new();
        let slots: Vec<_> = self.repositories.iter().cloned().enumerate().collect();
        for (number, slots) in (0..).zip(slots.chunks(SLOTS_PER_CLIENT)) {
            let seed = round.clients.wrapping_add(number);
            let (place, ledger) = (&self.place, &self.ledger);
            let client = Client::new(place, ledger, slots.to_vec(), happenings.clone(), seed);
            work.spawn(client.run());
        }
        let ports: Arc<[u16]> = self.repositories.iter().map(|it| it.port).collect();
        for number in 0..VISITORS {
            let seed = round.clients.wrapping_sub(number);
            work.spawn(visit(Arc::clone(&self.ledger), Arc::clone(&ports), seed));
        }
        let _ = timeout(LONGEST_WAIT, wait_for(round, happened)).await;
        sleep(round.delay).await;
        let address = self.strike(round.replacement).await?;
        while let Some(ended) = work.join_next().await {
            ended.context("a client has panicked")?;
        }
        self.ledger.open().address = address;
        Ok(())
    }

    /// Kills it, or somebody on the way to the next one. Where it listens, if it does afterwards.
    async fn strike(
        &mut self,
        replacement: Option<Replacement>,
    ) -> anyhow::Result<Option<SocketAddr>> {
        match replacement {
            None => self.kill().await?,
            Some(Replacement::Whole(before_kill)) => {
                self.replace().await?;
                sleep(before_kill).await;
                self.kill().await?;
            }
            Some(Replacement::Cut(side, after)) => return self.replace_until(side, after).await,
        }
        Ok(None)
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.ledger.open().address = None; // from now on everything may fail
        self.up.take().context("nothing to kill")?.kill().await
    }

    /// Another one takes over, which clients must not notice.
    async fn replace(&mut self) -> anyhow::Result<()> {
        let mut next = self.place.replace()?;
        let (address, before) = (next.ready().await?, self.ledger.open().address);
        ensure!(Some(address) == before, "it listens at {address} now");
        if let Some(before) = self.up.replace(next) {
            self.replaced.spawn(before.finished());
        }
        Ok(())
    }

    /// Another one begins to take over, and does not get to its end, or just so. Whoever is left goes on; if nobody is,
    /// there is no `up` afterwards.
    async fn replace_until(
        &mut self,
        side: Side,
        after: Duration,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let mut next = self.place.replace()?;
        sleep(after).await;
        let address = self.ledger.open().address.take(); // from now on everything may fail
        let mut old = self.up.take().context("nothing to replace")?;
        match side {
            Side::Both => {
                old.kill().await?;
                next.kill().await?;
            }
            Side::Old => {
                old.kill().await?;
                let address = next.ready().await.context("the new one does not go on")?;
                self.up = Some(next);
                return Ok(Some(address));
            }
            Side::New => {
                next.kill().await?;
                if self.goes_on(&mut old).await? {
                    self.up = Some(old);
                    return Ok(address);
                }
                old.finished().await?; // as the other one had taken over
            }
        }
        Ok(None)
    }

    /// Whether `up` serves after all, and does not end.
    async fn goes_on(&self, up: &mut Up) -> anyhow::Result<bool> {
        let looks = async {
            while !up.has_ended()? {
                if self.place.run(&["list"]).await?.is_done() {
                    return Ok(true);
                }
                sleep(LOOK_AGAIN).await;
            }
            Ok(false)
        };
        let goes_on = timeout(PATIENCE, looks).await;
        goes_on.context("the old one neither goes on nor ends")?
    }

    /// Ends it as a user does. Gives what is amiss then.
    pub(super) async fn end(&mut self) -> anyhow::Result<Vec<String>> {
        self.ledger.open().address = None;
        self.up.take().context("nothing to end")?.end().await?;
        Ok(check::after_end(&self.place, &self.ledger).await)
    }

    /// What was done since the last time, for people.
    pub(super) fn amount(&self) -> String {
        let mut promises = self.ledger.open();
        let commands = std::mem::take(&mut promises.acknowledged);
        let answers = std::mem::take(&mut promises.answers);
        format!(", {commands} changes acknowledged, {answers} requests answered")
    }

    /// Ends whatever runs, and keeps the files. Where they are.
    pub(super) async fn give_up(mut self) -> anyhow::Result<std::path::PathBuf> {
        if let Some(up) = self.up.take() {
            up.kill().await?;
        }
        check::processes::kill_all(&self.place.state());
        let place = Arc::try_unwrap(self.place);
        Ok(place.map_or_else(|shared| shared.path().to_owned(), Place::keep))
    }
}

async fn wait_for(round: &Round, mut happened: UnboundedReceiver<Happening>) {
    let mut seen = 0;
    if round.trigger == super::plan::Trigger::Anytime {
        return;
    }
    while let Some(happening) = happened.recv().await {
        if round.is_triggered(happening, &mut seen) {
            return;
        }
    }
}
