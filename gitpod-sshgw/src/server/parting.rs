//! Why clients are sent away.

use std::time::Duration;

/// Why a [`Gateway`](crate::Gateway) ends. Clients are told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Parting {
    /// Nobody serves here any more.
    #[default]
    Shutdown,
    /// Another one serves at the same address: who connects again is let in there.
    HandOver,
}

impl Parting {
    /// For who sits at a terminal, and has as long as `left`.
    pub(crate) fn at_terminal(self, left: Duration) -> String {
        let left = left.as_secs();
        match self {
            Self::Shutdown => {
                format!("\r\nthe gateway shuts down; this session ends in {left} s\r\n")
            }
            Self::HandOver => format!(
                "\r\nanother process serves SSH from now on; this session ends in {left} s, connect again for a new one\r\n"
            ),
        }
    }

    /// For a client whose connection is closed.
    pub(crate) const fn at_end(self) -> &'static str {
        match self {
            Self::Shutdown => "the gateway shuts down",
            Self::HandOver => "another process serves SSH from now on; connect again",
        }
    }
}
