//! What a Rust test program says of its tests.

use std::collections::BTreeSet;

use crate::vectors::report::Tally;

/// What the lines of test programs amount to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    results: Tally,
    skipped: Vec<String>,
}

impl Summary {
    pub(super) fn read(&mut self, line: &str) {
        self.results = self.results + of_line(line);
        // Such a test has returned without a check, which is no success.
        if let Some(why) = line.strip_prefix("SKIPPED: ") {
            self.skipped.push(why.to_owned());
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let skipped = self.skipped.len();
        Tally {
            passed: self.results.passed.saturating_sub(skipped),
            failed: self.results.failed,
            skipped: self.results.skipped + skipped,
        }
    }

    /// Why tests were skipped, each once.
    pub(super) fn reasons(&self) -> BTreeSet<&str> {
        self.skipped.iter().map(String::as_str).collect()
    }
}

/// Numbers of `test result: ok. 3 passed; 0 failed; 1 ignored; …`; zeros for any other line.
fn of_line(line: &str) -> Tally {
    let Some((_, numbers)) = line
        .strip_prefix("test result: ")
        .and_then(|rest| rest.split_once(". "))
    else {
        return Tally::default();
    };
    let number_of = |word: &str| {
        numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
            .unwrap_or_default()
    };
    Tally {
        passed: number_of("passed"),
        failed: number_of("failed"),
        skipped: number_of("ignored"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_the_result_line() {
        for (line, numbers) in [
            (
                "test result: ok. 16 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.08s",
                "16 passed, 0 failed, 2 skipped",
            ),
            (
                "test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
                "1 passed, 3 failed, 0 skipped",
            ),
        ] {
            assert_eq!(of_line(line).to_string(), numbers);
        }
    }

    #[test]
    fn test_that_says_it_was_skipped_has_not_passed() {
        let mut summary = Summary::default();
        for line in [
            "SKIPPED: no root here",
            "SKIPPED: no root here",
            "test result: ok. 16 passed; 0 failed; 1 ignored; 0 measured",
        ] {
            summary.read(line);
        }
        assert_eq!(
            summary.tally().to_string(),
            "14 passed, 0 failed, 3 skipped"
        );
        assert_eq!(Vec::from_iter(summary.reasons()), ["no root here"]);
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "running 3 tests", "test a ... ok", "test result: odd"] {
            assert_eq!(of_line(line), Tally::default());
        }
    }
}
