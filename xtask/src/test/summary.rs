//! The line that a Rust test program ends with.

use crate::vectors::report::Tally;

/// Numbers of `test result: ok. 3 passed; 0 failed; 1 ignored; …`; zeros for any other line.
pub(super) fn of_line(line: &str) -> Tally {
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
    fn other_lines_count_nothing() {
        for line in ["", "running 3 tests", "test a ... ok", "test result: odd"] {
            assert_eq!(of_line(line), Tally::default());
        }
    }
}
