//! What a replay prints: one block for each difference, then the groups left out, then one line of numbers.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

/// Numbers over everything replayed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Writes blocks as they come and counts.
#[derive(Debug)]
pub(crate) struct Report<W> {
    out: W,
    tally: Tally,
    /// Groups that nothing here can replay, with how many of their cases were seen.
    unsupported: BTreeMap<String, usize>,
}

/// What names a case to a reader.
#[derive(Debug)]
pub(crate) struct Heading<'a> {
    pub(crate) id: &'a str,
    pub(crate) group: &'a str,
    pub(crate) title: &'a str,
}

/// The three sides of a difference.
#[derive(Debug)]
pub(crate) struct Difference<'a> {
    pub(crate) input: &'a Value,
    pub(crate) expected: &'a Value,
    pub(crate) got: &'a Value,
}

impl<W: Write> Report<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            tally: Tally::default(),
            unsupported: BTreeMap::new(),
        }
    }

    pub(crate) fn passed(&mut self) {
        self.tally.passed += 1;
    }

    pub(crate) fn failed(&mut self, case: &Heading<'_>, what: &Difference<'_>) -> io::Result<()> {
        self.tally.failed += 1;
        self.block("FAILED", case, what)
    }

    /// A difference that is allowed, for the reason that `word` names.
    pub(crate) fn allowed(
        &mut self,
        word: &str,
        case: &Heading<'_>,
        what: &Difference<'_>,
    ) -> io::Result<()> {
        self.tally.skipped += 1;
        self.block(&format!("differs ({word}, allowed)"), case, what)
    }

    pub(crate) fn invalid(&mut self, case: &Heading<'_>, why: &str) -> io::Result<()> {
        self.tally.failed += 1;
        writeln!(self.out, "FAILED {}\n  invalid:  {why}\n", line(case))
    }

    pub(crate) fn skipped(&mut self, case: &Heading<'_>, why: &str) -> io::Result<()> {
        self.tally.skipped += 1;
        writeln!(self.out, "skipped {}\n  because:  {why}\n", line(case))
    }

    pub(crate) fn unsupported(&mut self, group: &str) {
        self.tally.skipped += 1;
        *self.unsupported.entry(group.to_owned()).or_default() += 1;
    }

    /// Ends with the line of numbers.
    pub(crate) fn finish(mut self) -> io::Result<Tally> {
        for (group, cases) in &self.unsupported {
            writeln!(
                self.out,
                "skipped group `{group}`: not supported yet, {cases} cases"
            )?;
        }
        writeln!(self.out, "{}", self.tally)?;
        self.out.flush()?;
        Ok(self.tally)
    }

    fn block(&mut self, word: &str, case: &Heading<'_>, what: &Difference<'_>) -> io::Result<()> {
        writeln!(self.out, "{word} {}", line(case))?;
        writeln!(self.out, "  input:    {}", readable(what.input))?;
        writeln!(self.out, "  expected: {}", readable(what.expected))?;
        writeln!(self.out, "  got:      {}\n", readable(what.got))
    }
}

fn line(case: &Heading<'_>) -> String {
    let Heading { id, group, title } = case;
    format!("{id} ({group}) {title}")
}

/// On one line if it is short, else indented under its label.
fn readable(value: &Value) -> String {
    let short = value.to_string();
    if short.len() <= LINE {
        return short;
    }
    format!("{value:#}").replace('\n', "\n    ")
}

/// Characters that fit beside a label on a wide terminal.
const LINE: usize = 100;
