//! Whether everything that was promised holds, and nothing is left over.

mod files;
mod listed;
pub(super) mod processes;
mod rows;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use self::listed::Listed;
use self::processes::Complaints;
use self::rows::Rows;
use super::ledger::{Entry, Expected, Ledger, text};
use super::place::{PATIENCE, Place};
use super::repository::Repository;
use super::traffic::{Visit, WrongAnswer};

/// A workspace that runs.
#[derive(Clone, Debug)]
pub(super) struct Live {
    workspace: String,
    instance: String,
}

impl Live {
    fn instance_dir(&self, state: &Path) -> PathBuf {
        state.join("instances").join(&self.instance)
    }

    fn owns(&self, state: &Path, path: &Path) -> bool {
        let workspace = state.join("workspaces").join(&self.workspace);
        path.starts_with(self.instance_dir(state)) || path.starts_with(workspace)
    }
}

/// Checks until nothing is amiss, something is that never may be, or patience is over.
/// Gives what is amiss.
pub(super) async fn after_restart(place: &Place, ledger: &Ledger, up: Option<u32>) -> Vec<String> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let complaints = match look(place, ledger, up).await {
            Ok(complaints) => complaints,
            Err(why) => return vec![format!("{why:#}")],
        };
        if !complaints.never.is_empty() || Instant::now() >= give_up {
            return [complaints.never, complaints.not_yet].concat();
        }
        if complaints.not_yet.is_empty() {
            return Vec::new();
        }
        sleep(LOOK_AGAIN).await;
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(50);

async fn look(place: &Place, ledger: &Ledger, up: Option<u32>) -> anyhow::Result<Complaints> {
    // Asked first: the note of a removal goes last.
    let removals = place.removals();
    let listed = Listed::of(place.json(&["list", "-o", "json"]).await?);
    let rows = Rows::read(&place.state().join("gitpod.db")).await?;
    let kept: BTreeSet<_> = listed.0.keys().cloned().collect();
    let live: Vec<_> = listed.0.iter().filter_map(live).collect();
    let mut promises = ledger.open();
    let mut all = listed.complaints(&promises);
    let of_rows = rows.complaints(&live, &kept, &mut promises.stops);
    let of_processes = processes::complaints(&place.state(), &live, up);
    for more in [of_rows, of_processes] {
        all.never.extend(more.never);
        all.not_yet.extend(more.not_yet);
    }
    let orphans = files::orphans(&place.state(), &live, &kept);
    all.not_yet.extend(orphans);
    let entries = promises.entries().filter(|entry| kept.contains(&entry.id));
    let with_files = entries.filter(|entry| entry.expected != Expected::Starts);
    for entry in with_files {
        let damage = files::damage(place, entry);
        // A removal that a kill has cut off goes on while others are served.
        match removals.contains(&entry.id) {
            true => all.not_yet.extend(damage),
            false => all.never.extend(damage),
        }
    }
    Ok(all)
}

fn live((id, told): (&String, &serde_json::Value)) -> Option<Live> {
    let phase = text(told, "phase");
    let runs = phase != "stopped";
    runs.then(|| Live {
        workspace: id.clone(),
        instance: text(told, "instance_id"),
    })
}

/// Whether each workspace that runs answers, as itself, by HTTP and over a WebSocket.
pub(super) async fn answers(
    ledger: &Ledger,
    repositories: &[Repository],
    address: SocketAddr,
) -> Vec<String> {
    let slots = ledger.open().slots.clone();
    let mut complaints = Vec::new();
    for (entry, repository) in slots.iter().zip(repositories) {
        let Some(entry) = entry.as_ref().filter(|it| it.expected == Expected::Running) else {
            continue;
        };
        let visit = Visit::to(entry, repository.port, address);
        if let Err(why) = answers_in_time(&visit).await {
            complaints.push(format!("{} does not answer: {why:#}", entry.id));
        }
    }
    complaints
}

async fn answers_in_time(visit: &Visit) -> anyhow::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        // Its server may just be starting, and this machine out of ports for a while.
        let answered = timeout(PATIENCE, answers_once(visit)).await?;
        match answered {
            Ok(true) => return Ok(()),
            Err(why) if why.is::<WrongAnswer>() || Instant::now() >= give_up => return Err(why),
            Ok(false) if Instant::now() >= give_up => anyhow::bail!("it is refused or cut off"),
            _ => sleep(LOOK_AGAIN).await,
        }
    }
}

async fn answers_once(visit: &Visit) -> anyhow::Result<bool> {
    let answered = visit.ask().await?;
    if answered {
        visit.echo(1).await?;
    }
    Ok(answered)
}

/// Brings the ledger up to date with what has become of what was cut off; workspaces that
/// were made by creations nobody heard of are deleted.
pub(super) async fn settle(place: &Place, ledger: &Ledger) -> anyhow::Result<()> {
    let listed = Listed::of(place.json(&["list", "-o", "json"]).await?);
    let mut strangers = Vec::new();
    {
        let mut promises = ledger.open();
        let mut gone = Vec::new();
        for slot in &mut promises.slots {
            let Some(entry) = slot.as_mut() else { continue };
            match listed.0.get(&entry.id) {
                Some(told) => adopt(entry, told),
                None => gone.extend(slot.take().map(|entry| entry.id)),
            }
        }
        promises.deleted.extend(gone);
        let known = |id: &&String| promises.entries().any(|entry| entry.id == **id);
        strangers.extend(listed.0.keys().filter(|id| !known(id)).cloned());
        promises.open_creations = 0;
    }
    for id in strangers {
        let deleted = place.run(&["delete", &id]).await?;
        anyhow::ensure!(deleted.is_done(), "cannot delete {id}: {}", deleted.err);
        ledger.open().deleted.push(id);
    }
    for entry in ledger.open().slots.iter().flatten() {
        anyhow::ensure!(!entry.id.is_empty(), "a start told no id");
    }
    Ok(())
}

fn adopt(entry: &mut Entry, told: &serde_json::Value) {
    let expected = match &*text(told, "phase") {
        "running" => Expected::Running,
        _ => Expected::Stopped,
    };
    entry.runs_as(told, expected);
}

/// Whether nothing is left after a regular end but the files of kept workspaces.
pub(super) async fn after_end(place: &Place, ledger: &Ledger) -> Vec<String> {
    let rows = match Rows::read(&place.state().join("gitpod.db")).await {
        Ok(rows) => rows,
        Err(why) => return vec![format!("{why:#}")],
    };
    let mut promises = ledger.open();
    let kept: BTreeSet<_> = promises.entries().map(|entry| entry.id.clone()).collect();
    let of_rows = rows.complaints(&[], &kept, &mut promises.stops);
    let of_processes = processes::complaints(&place.state(), &[], None);
    let mut complaints = [
        of_rows.never,
        of_rows.not_yet,
        of_processes.never,
        of_processes.not_yet,
        files::orphans(&place.state(), &[], &kept),
    ]
    .concat();
    complaints.extend(
        promises
            .entries()
            .flat_map(|entry| files::damage(place, entry)),
    );
    complaints
}
