//! What a case demands: some results must hold, others are only worth a note.

use serde_json::{Map, Value};

/// How much a difference from the expectation weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Weight {
    /// A difference is a failure.
    Must,
    /// A difference is printed and counted as skipped; the text is the case's own word for it.
    May(&'static str),
}

/// What to do with one case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Demand {
    /// Replay it and compare with this expectation.
    Compare { expect: Value, weight: Weight },
    /// Nothing can be compared; the text says why.
    Skip(String),
    /// The case itself is broken; the text says how.
    Invalid(String),
}

/// Words in `compat`, `origin` or `profile` after which matching is optional.
const OPTIONAL: [&str; 3] = ["quirk", "informative", "compat"];

/// Facets that decide all others: where one of them changes, the rest of `expect` described the old answer.
const DECIDING: [&str; 5] = ["status", "router", "replies", "handler_called", "valid"];

pub(crate) fn demand_of(case: &Map<String, Value>) -> Demand {
    let Some(expect) = case.get("expect") else {
        return Demand::Invalid("it has no `expect`".into());
    };
    let mut words = Vec::new();
    for key in ["compat", "origin", "profile"] {
        match case.get(key) {
            Some(Value::String(word)) => words.push(word.as_str()),
            Some(Value::Null) | None => {}
            Some(other) => return Demand::Invalid(format!("its `{key}` is {other}, not a word")),
        }
    }
    if words.contains(&"bug") {
        return demand_of_bug(expect, case.get("preferred"));
    }
    let optional = OPTIONAL.into_iter().find(|word| words.contains(word));
    Demand::Compare {
        expect: expect.clone(),
        weight: optional.map_or(Weight::Must, Weight::May),
    }
}

/// The reference's answer is wrong here; what must hold is the case's `preferred` one.
fn demand_of_bug(expect: &Value, preferred: Option<&Value>) -> Demand {
    let expect = match (expect, preferred) {
        (_, None | Some(Value::Null)) => {
            return Demand::Skip(
                "the reference's answer is a bug, and no other is preferred".into(),
            );
        }
        (Value::Object(old), Some(Value::Object(new))) => match merge(old, new) {
            Some(merged) => Value::Object(merged),
            None => return Demand::Skip("what is preferred is only described in words".into()),
        },
        (_, Some(new)) => new.clone(),
    };
    Demand::Compare {
        expect,
        weight: Weight::Must,
    }
}

/// `new` over `old`; `None` if `new` holds nothing but a note for readers.
fn merge(old: &Map<String, Value>, new: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut new = new.clone();
    new.remove("note");
    if new.is_empty() {
        return None;
    }
    let another_answer = DECIDING.iter().any(|key| {
        new.get(*key)
            .is_some_and(|value| old.get(*key) != Some(value))
    });
    let mut merged = if another_answer {
        Map::new()
    } else {
        old.clone()
    };
    merged.extend(new);
    Some(merged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn demand(case: &Value) -> Demand {
        demand_of(case.as_object().unwrap())
    }

    fn must(expect: Value) -> Demand {
        Demand::Compare {
            expect,
            weight: Weight::Must,
        }
    }

    #[test]
    fn required_and_unmarked_cases_must_hold() {
        for case in [
            json!({"expect": 1}),
            json!({"expect": 1, "compat": "required"}),
            json!({"expect": 1, "origin": "rule"}),
            json!({"expect": 1, "origin": "upstream-test"}),
            json!({"expect": 1, "origin": "proposal", "profile": "strict"}),
            json!({"expect": 1, "origin": "behaviour", "profile": "both"}),
        ] {
            assert_eq!(demand(&case), must(json!(1)));
        }
    }

    #[test]
    fn quirks_and_compatibility_are_optional() {
        for (case, word) in [
            (json!({"expect": 1, "compat": "quirk"}), "quirk"),
            (json!({"expect": 1, "compat": "informative"}), "informative"),
            (json!({"expect": 1, "origin": "quirk"}), "quirk"),
            (
                json!({"expect": 1, "origin": "behaviour", "profile": "compat"}),
                "compat",
            ),
        ] {
            let Demand::Compare { weight, .. } = demand(&case) else {
                panic!("not compared");
            };
            assert_eq!(weight, Weight::May(word));
        }
    }

    #[test]
    fn of_a_bug_the_preferred_result_must_hold() {
        let case = json!({"compat": "bug", "expect": {"a": 1, "b": 2}, "preferred": {"b": 3}});
        assert_eq!(demand(&case), must(json!({"a": 1, "b": 3})));
    }

    #[test]
    fn another_status_makes_the_old_answer_void() {
        let case = json!({"compat": "bug", "expect": {"status": 200, "body": "ide"},
                          "preferred": {"status": 401, "note": "refuse"}});
        assert_eq!(demand(&case), must(json!({"status": 401})));
    }

    #[test]
    fn bug_without_comparable_preference_is_skipped() {
        for preferred in [json!(null), json!({"note": "do better"})] {
            let case = json!({"compat": "bug", "expect": {"status": 200}, "preferred": preferred});
            assert!(matches!(demand(&case), Demand::Skip(_)));
        }
    }

    #[test]
    fn case_without_expectation_is_invalid() {
        assert!(matches!(demand(&json!({"id": "x"})), Demand::Invalid(_)));
        assert!(matches!(
            demand(&json!({"expect": 1, "compat": 7})),
            Demand::Invalid(_)
        ));
    }
}
