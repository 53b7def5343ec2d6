//! Which files there should be, and which should not.

use std::collections::BTreeSet;
use std::path::Path;

use super::Live;
use crate::torture::ledger::Entry;
use crate::torture::place::Place;
use crate::torture::repository::SERVER;

/// Names in the state directory that belong to nobody: `live` run, `kept` exist.
pub(super) fn orphans(state: &Path, live: &[Live], kept: &BTreeSet<String>) -> Vec<String> {
    let instances: BTreeSet<_> = live.iter().map(|live| live.instance.clone()).collect();
    let mut orphans = Vec::new();
    let mut orphan =
        |path: &Path, what| orphans.push(format!("{what} is left: {}", path.display()));
    for name in names(state) {
        if name.ends_with(".new") || name == "network" {
            orphan(&state.join(name), "a file");
        }
    }
    for (dir, known, what) in [
        ("instances", &instances, "an instance"),
        ("workspaces", kept, "a workspace"),
    ] {
        for name in names(&state.join(dir)).filter(|name| !known.contains(name)) {
            orphan(&state.join(dir).join(name), what);
        }
        for known in known {
            let dir = state.join(dir).join(known);
            let unfinished = |name: &String| name.ends_with(".new") || name.starts_with("content.");
            for name in names(&dir).filter(unfinished) {
                orphan(&dir.join(name), "a file");
            }
        }
    }
    orphans
}

fn names(dir: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// What of the files of a kept workspace is not as it was written.
pub(super) fn damage(place: &Place, entry: &Entry) -> Vec<String> {
    let content = place.content(&entry.id);
    let written = entry.files.iter().map(|(name, text)| (&**name, &**text));
    // What never ran may have been stopped before it was cloned.
    let cloned = entry.has_run.then_some(("torture.py", SERVER));
    let expected = written.chain(cloned);
    let differs = |(name, text): &(&str, &str)| {
        std::fs::read(content.join(name)).ok().as_deref() != Some(text.as_bytes())
    };
    let damaged = expected.filter(differs);
    let damaged = damaged.map(|(name, _)| format!("{}: file {name} is damaged", entry.id));
    damaged.collect()
}
