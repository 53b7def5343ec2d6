//! What clients do to their workspaces, one command after the other, until `up` is killed.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::ledger::{Entry, Expected, Ledger};
use super::place::{Answer, Place};
use super::plan::{Deed, Happening};
use super::repository::Repository;

/// A client. Its slots are nobody else's, so that it knows what to expect of them.
pub(super) struct Client {
    pub(super) place: Arc<Place>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) slots: Vec<(usize, Repository)>,
    pub(super) happenings: UnboundedSender<Happening>,
    pub(super) random: StdRng,
}

/// How two commands of the same kind are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Times {
    Once,
    TwiceAtOnce,
}

impl Client {
    pub(super) fn new(
        place: &Arc<Place>,
        ledger: &Arc<Ledger>,
        slots: Vec<(usize, Repository)>,
        happenings: UnboundedSender<Happening>,
        seed: u64,
    ) -> Self {
        Self {
            place: Arc::clone(place),
            ledger: Arc::clone(ledger),
            slots,
            happenings,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Goes on until `up` is killed.
    pub(super) async fn run(mut self) {
        while self.ledger.is_up() {
            let which = self.random.random_range(0..self.slots.len());
            if let Some((slot, repository)) = self.slots.get(which).cloned() {
                self.act(slot, &repository).await;
            }
            sleep(Duration::from_millis(self.random.random_range(0..60))).await;
        }
    }

    async fn act(&mut self, slot: usize, repository: &Repository) {
        let entry = self.ledger.open().slot(slot).clone();
        let dice = self.random.random_range(0..100);
        let Some(entry) = entry else {
            return self.create(slot, repository).await;
        };
        match (entry.expected, dice) {
            (Expected::Running | Expected::Stopped, 0..25) if entry.has_run => {
                self.write(slot, &entry);
            }
            (Expected::Running, 25..60) => self.stop(slot, &entry, repository).await,
            (Expected::Stopped, 25..75) => self.start(slot, &entry, self.times()).await,
            (Expected::Running, 60..70) => self.start(slot, &entry, Times::TwiceAtOnce).await,
            (Expected::Running | Expected::Stopped, 80..) => self.delete(slot, &entry).await,
            (Expected::Starts, 0..40) => self.start(slot, &entry, Times::Once).await,
            (Expected::Starts, 40..60) => self.stop(slot, &entry, repository).await,
            (Expected::Starts, 60..80) => self.delete(slot, &entry).await,
            _ => self.look(&entry).await,
        }
    }

    fn times(&self) -> Times {
        match self.random.clone().random_range(0..3) {
            0 => Times::TwiceAtOnce,
            _ => Times::Once,
        }
    }

    async fn create(&mut self, slot: usize, repository: &Repository) {
        let path = repository.path.to_string_lossy().into_owned();
        // Visitors come to stopped ones as well, and shall find them stopped.
        let mut words = vec!["start", &path, "-o", "json", "--wake", "never"];
        let waits = self.random.random_range(0..3) > 0;
        if !waits {
            words.push("--no-wait");
        }
        self.ledger.open().open_creations += 1;
        let Some(told) = self.command(Deed::Create, &words, Times::Once).await else {
            return;
        };
        let expected = if waits {
            Expected::Running
        } else {
            Expected::Starts
        };
        {
            let mut promises = self.ledger.open();
            promises.open_creations -= 1;
            *promises.slot(slot) = Some(Entry::of(&told, expected));
        }
        self.tell(Happening::Acknowledged(Deed::Create));
    }

    async fn start(&mut self, slot: usize, entry: &Entry, times: Times) {
        let words = ["start", &entry.id, "-o", "json"];
        if entry.expected == Expected::Stopped {
            self.expect(slot, Expected::Open);
        }
        let told = self.command(Deed::Start, &words, times).await;
        let Some(told) = told else { return };
        if let Some(entry) = self.ledger.open().slot(slot) {
            entry.runs_as(&told, Expected::Running);
        }
        self.tell(Happening::Acknowledged(Deed::Start));
    }

    async fn stop(&mut self, slot: usize, entry: &Entry, repository: &Repository) {
        let times = self.times();
        let mut words = vec!["stop", &*entry.id];
        // Who does not end by itself gets half a minute otherwise.
        if repository.is_stubborn || self.random.random() {
            words.push("--now");
        }
        self.expect(slot, Expected::Open);
        if self.command(Deed::Stop, &words, times).await.is_some() {
            self.expect(slot, Expected::Stopped);
            self.tell(Happening::Acknowledged(Deed::Stop));
        }
    }

    async fn delete(&mut self, slot: usize, entry: &Entry) {
        self.expect(slot, Expected::MayBeGone);
        let words = ["delete", &entry.id];
        if self
            .command(Deed::Delete, &words, Times::Once)
            .await
            .is_some()
        {
            {
                let mut promises = self.ledger.open();
                promises.deleted.push(entry.id.clone());
                *promises.slot(slot) = None;
            }
            self.tell(Happening::Acknowledged(Deed::Delete));
        }
    }

    /// As its user would, beside everything else.
    fn write(&mut self, slot: usize, entry: &Entry) {
        let name = format!("kept-{}", self.random.random_range(0..10));
        let text = format!("{} {}\n", entry.id, self.random.random::<u64>());
        match std::fs::write(self.place.content(&entry.id).join(&name), &text) {
            Ok(()) => {
                if let Some(entry) = self.ledger.open().slot(slot) {
                    entry.files.insert(name, text);
                }
            }
            Err(why) => self
                .ledger
                .complain(format!("{}: no files: {why}", entry.id)),
        }
    }

    async fn look(&mut self, entry: &Entry) {
        let words = match self.random.random() {
            true => vec!["list", "-o", "json"],
            false => vec!["describe", &*entry.id, "-o", "json"],
        };
        match self.place.run(&words).await {
            Ok(answer) if answer.is_done() => {}
            Ok(answer) => self.ledger.complain(failed(&words, &answer)),
            Err(why) => self.ledger.complain(why.to_string()),
        }
    }

    /// What a command that changes something prints, if it is acknowledged.
    async fn command(&mut self, deed: Deed, words: &[&str], times: Times) -> Option<Value> {
        self.tell(Happening::Sent(deed));
        let first = self.place.run(words);
        let answers = match times {
            Times::Once => vec![first.await],
            Times::TwiceAtOnce => {
                let (first, second) = tokio::join!(first, self.place.run(words));
                vec![first, second]
            }
        };
        let mut told = Vec::new();
        for answer in answers {
            match answer {
                Ok(answer) if answer.is_done() => told.push(answer.out),
                Ok(answer) => self.ledger.complain(failed(words, &answer)),
                Err(why) => self.ledger.complain(why.to_string()),
            }
        }
        self.ledger.open().acknowledged += told.len();
        let told: Vec<Value> = told.iter().map(|out| json(out)).collect();
        let instance = |told: &Value| told.get("instance_id").cloned();
        if told
            .iter()
            .any(|other| instance(other) != told.first().and_then(instance))
        {
            self.ledger
                .complain(format!("two starts at once made two runs: {told:?}"));
        }
        told.into_iter().next()
    }

    fn expect(&self, slot: usize, expected: Expected) {
        if let Some(entry) = self.ledger.open().slot(slot) {
            entry.expected = expected;
        }
    }

    fn tell(&self, happening: Happening) {
        // Fails once nobody waits any more.
        let _ = self.happenings.send(happening);
    }
}

/// What a command has printed; nothing, for those that print nothing.
fn json(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_default()
}

fn failed(words: &[&str], answer: &Answer) -> String {
    let (words, code, err) = (words.join(" "), answer.code, answer.err.trim());
    format!("`gitpod {words}` failed though `up` lives (exit code {code:?}): {err}")
}
