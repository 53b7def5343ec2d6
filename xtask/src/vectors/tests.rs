use serde_json::json;

use super::*;

/// "Code" under test: doubles a number.
fn doubles(group: &str, _fixtures: &Value, case: &Value) -> Option<Outcome> {
    let got = match group {
        "double" => json!(case["input"].as_i64()? * 2),
        "panics" => panic!("no such shape"),
        "cannot" => return Some(Outcome::Skipped("no clock".into())),
        _ => return None,
    };
    Some(match case["expect"] == got {
        true => Outcome::Same,
        false => Outcome::Differs {
            expected: case["expect"].clone(),
            got,
        },
    })
}

fn replayed(cases: &Value, group: Option<&str>) -> (Tally, String) {
    let file = VectorFile::from_json(json!({"schema_version": 1, "cases": cases})).unwrap();
    let mut out = Vec::new();
    let tally = replay_all(&file, group, &mut out, &[doubles]).unwrap();
    (tally, String::from_utf8(out).unwrap())
}

#[test]
fn wrong_result_is_counted_as_failed_and_shown_with_all_three_sides() {
    let (tally, out) = replayed(
        &json!([
            {"id": "d-1", "group": "double", "title": "two", "input": 2, "expect": 4},
            {"id": "d-2", "group": "double", "title": "three", "input": 3, "expect": 7},
        ]),
        None,
    );
    assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 0));
    assert!(
        out.starts_with("FAILED d-2 (double) three\n  input:    3\n  expected: 7\n  got:      6\n")
    );
    assert!(out.ends_with("\n1 passed, 1 failed, 0 skipped\n"));
}

#[test]
fn difference_in_a_quirk_is_printed_and_skipped() {
    let (tally, out) = replayed(
        &json!([
            {"id": "q-1", "group": "double", "compat": "quirk", "input": 2, "expect": 5},
            {"id": "q-2", "group": "double", "compat": "quirk", "input": 2, "expect": 4},
        ]),
        None,
    );
    assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 0, 1));
    assert!(out.contains("differs (quirk, allowed) q-1"));
}

#[test]
fn of_a_bug_the_preferred_result_decides() {
    let (tally, _) = replayed(
        &json!([
            {"id": "b-1", "group": "double", "compat": "bug", "input": 2, "expect": 5, "preferred": 4},
            {"id": "b-2", "group": "double", "compat": "bug", "input": 2, "expect": 4, "preferred": 5},
            {"id": "b-3", "group": "double", "compat": "bug", "input": 2, "expect": 4},
        ]),
        None,
    );
    assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 1));
}

#[test]
fn unsupported_group_is_skipped_by_name() {
    let (tally, out) = replayed(
        &json!([
            {"id": "n-1", "group": "new", "input": 1, "expect": 1},
            {"id": "n-2", "group": "new", "input": 1, "expect": 1},
            {"id": "n-3", "group": "cannot", "input": 1, "expect": 1},
        ]),
        None,
    );
    assert_eq!((tally.passed, tally.failed, tally.skipped), (0, 0, 3));
    assert!(out.contains("skipped group `new`: not supported yet, 2 cases\n"));
    assert!(out.contains("skipped n-3 (cannot) \n  because:  no clock\n"));
}

#[test]
fn broken_cases_fail_with_their_id_and_the_rest_is_replayed() {
    let (tally, out) = replayed(
        &json!([
            {"id": "x-1", "group": "double", "input": 1},
            {"id": "x-2", "input": 1, "expect": 1},
            7,
            {"id": ["x-4"], "group": "double", "input": 1, "expect": 3},
            {"id": "x-5", "group": "panics", "input": 1, "expect": 1},
            {"id": "x-6", "group": "double", "input": 1, "expect": 2, "novel": true},
        ]),
        None,
    );
    assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 5, 0));
    for broken in ["x-1", "x-2", "case number 3", "case number 4", "x-5"] {
        assert!(
            out.contains(&format!("FAILED {broken} ")),
            "{broken} in {out}"
        );
    }
}

#[test]
fn only_the_wanted_group_is_replayed() {
    let (tally, _) = replayed(
        &json!([
            {"id": "d-1", "group": "double", "input": 2, "expect": 4},
            {"id": "n-1", "group": "new", "input": 1, "expect": 1},
        ]),
        Some("double"),
    );
    assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 0, 0));
}

#[test]
fn unknown_group_is_refused_with_the_groups_there_are() {
    let top =
        json!({"schema_version": 1, "cases": [{"group": "b"}, {"group": "a"}, {"group": "b"}]});
    let why = refuse_unknown_group(&VectorFile::from_json(top).unwrap(), "c").unwrap_err();
    assert!(why.to_string().ends_with("its groups are: a, b"));
}
