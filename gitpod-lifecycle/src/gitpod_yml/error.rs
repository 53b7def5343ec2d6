use std::fmt;

use super::{Ignored, MAX_BYTES};

/// A `.gitpod.yml` that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}", Listed(problems))]
pub struct GitpodYmlError {
    /// What is wrong, in the order of the file; never empty.
    pub problems: Vec<Problem>,
    /// What has no effect either: a misspelt key is often part of the trouble.
    pub ignored: Vec<Ignored>,
}

impl From<Problem> for GitpodYmlError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
            ignored: Vec::new(),
        }
    }
}

/// One thing that is wrong with a `.gitpod.yml`. Prints as `line 3, column 11: ports[0].port: … (fix: …)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Where in the document, e.g. `ports[0].port`; empty for the whole file.
    pub path: String,
    /// What is wrong, lower case, one line.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

impl Problem {
    pub(super) fn too_long(bytes: usize) -> Self {
        Self {
            line: 1,
            column: 1,
            path: String::new(),
            message: format!("the file has {bytes} bytes, more than {MAX_BYTES}"),
            fix: "move long scripts into files of the repository and call them from the task"
                .to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (fix: {})", self.message, self.fix)
    }
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".gitpod.yml cannot be used: ")?;
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
