//! How a command ends when it does not succeed.

use std::fmt;
use std::process::ExitCode;

/// What went wrong, why, and what to do next: what a command prints on standard
/// error before it exits.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    what: String,
    why: Option<String>,
    fix: Option<String>,
}

/// The exit codes that scripts may rely on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// 1: it was tried and did not work.
    Failed,
    /// 2: the command line makes no sense. The same code as the argument parser's.
    Usage,
    /// 3: there is no such workspace.
    NoSuchWorkspace,
    /// 4: it took longer than allowed.
    TimedOut,
    /// 5: nobody answers on the manager's socket.
    NotRunning,
}

impl Failure {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            why: None,
            fix: None,
        }
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// Adds the cause, down to its root.
    #[must_use]
    pub(crate) fn because(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let chain: Vec<String> = std::iter::successors(Some(cause), |e| e.source())
            .map(ToString::to_string)
            .collect();
        self.why = Some(chain.join(": "));
        self
    }

    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    #[must_use]
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Without the remedy, in one line.
    pub(crate) fn what_and_why(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.what),
            None => self.what.clone(),
        }
    }

    /// What to do about it; empty if nothing is known.
    pub(crate) fn remedy(&self) -> &str {
        self.fix.as_deref().unwrap_or_default()
    }

    pub(crate) fn code(&self) -> ExitCode {
        self.kind.code()
    }
}

impl Kind {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoSuchWorkspace => 3,
            Self::TimedOut => 4,
            Self::NotRunning => 5,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(why) = &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix: {fix}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_says_what_why_and_what_to_do() {
        let cause = std::io::Error::other("disk is full");
        let text = Failure::failed("cannot write the record")
            .because(&cause)
            .fix("free some space")
            .to_string();
        assert_eq!(
            text,
            "error: cannot write the record\n  why: disk is full\n  fix: free some space"
        );
    }
}
