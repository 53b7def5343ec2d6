//! Replays the cases of this repository.

use serde_json::{Value, json};

use super::*;

fn cases() -> (Value, Vec<Value>) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/ws-manager-cases.json"
    );
    let mut top: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = top["cases"].take();
    (top, serde_json::from_value(cases).unwrap())
}

/// Ids of the cases of `groups` whose outcome differs, but for quirks.
fn differing(groups: &[&str], change: impl Fn(&mut Value)) -> Vec<String> {
    let (fixtures, cases) = cases();
    let mut differing = Vec::new();
    for mut case in cases {
        let group = case["group"].as_str().unwrap().to_owned();
        if case["origin"] == "quirk" || !groups.contains(&group.as_str()) {
            continue;
        }
        change(&mut case["input"]);
        if replay(&group, &fixtures, &case) != Some(Outcome::Same) {
            differing.push(case["id"].as_str().unwrap().to_owned());
        }
    }
    differing
}

#[test]
fn core_follows_the_reference_in_every_case_but_its_quirks() {
    let groups = [
        "phase",
        "action",
        "timeout",
        "lifecycle",
        "metrics",
        "status_map",
        "subscriber_event",
    ];
    assert_eq!(differing(&groups, |_| {}), Vec::<String>::new());
}

/// What users get by default. Each difference is a repair that the core describes.
const IMPROVED: [&str; 18] = [
    "phase-022", // several runners stop the instance, which ends them all
    "phase-056", // Q8: a regular runner that has ended is on its way out, not unknown
    "phase-058",
    "phase-059",
    "phase-060",
    "phase-063",
    "phase-064",
    "phase-075",
    "action-037",  // Q11: looks again when the limit of the stop is reached
    "action-041",  // a runner that outlives its instance is deleted before it is released
    "timeout-042", // Q11: the stop itself is bounded, and needs no timeout
    "timeout-044",
    "lifecycle-001", // Stopped only when the workspace no longer runs
    "lifecycle-002",
    "lifecycle-004",
    "lifecycle-007",
    "lifecycle-012",
    "lifecycle-017",
];

#[test]
fn improved_rules_differ_only_where_the_reference_gets_stuck() {
    let groups = ["phase", "action", "timeout", "lifecycle"];
    let improved = |input: &mut Value| input["rules"] = json!("improved");
    assert_eq!(differing(&groups, improved), IMPROVED);
}
