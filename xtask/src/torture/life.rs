//! One installation, through some rounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::actions::Client;
use super::check;
use super::ledger::Ledger;
use super::place::{Place, Up};
use super::plan::{Happening, Round};
use super::repository::Repository;
use super::traffic::visit;

/// An installation whose `up` runs.
#[derive(Debug)]
pub(super) struct Life {
    place: Arc<Place>,
    ledger: Arc<Ledger>,
    repositories: Vec<Repository>,
    up: Option<Up>,
}

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
        for after in &round.also_killed {
            let up = self.place.start()?;
            sleep(*after).await;
            up.kill().await?;
        }
        self.start().await?;
        let up = self.up.as_ref().and_then(Up::pid);
        let mut complaints = std::mem::take(&mut self.ledger.open().broken);
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
        self.ledger.open().address = None; // from now on everything may fail
        self.up.take().context("nothing to kill")?.kill().await?;
        while let Some(ended) = work.join_next().await {
            ended.context("a client has panicked")?;
        }
        Ok(())
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
