use std::fmt;
use std::str::FromStr;

use super::read::clipped;

/// Ports `first..=last`, never 0 and never empty. Prints as `3000` or `3000-3009`, and reads what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Ports `first..=last`; `None` for port 0 and for a range that is the wrong way round.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || first > last {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// The port, if it is only one.
    #[must_use]
    pub const fn single(self) -> Option<u16> {
        if self.first == self.last {
            Some(self.first)
        } else {
            None
        }
    }

    /// Whether `number` is one of them.
    #[must_use]
    pub const fn contains(self, number: u16) -> bool {
        self.first <= number && number <= self.last
    }

    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
        let (first, last) = (number(first)?, number(last)?);
        Self::new(first, last).ok_or(PortRangeError::Reversed { first, last })
    }
}

fn number(text: &str) -> Result<u16, PortRangeError> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortRangeError::NotANumber(clipped(digits)));
    }
    match digits.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(PortRangeError::OutOfRange(clipped(digits))),
    }
}

/// A text that is no [`PortRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortRangeError {
    /// Port 0 or above 65535.
    #[error("{0} is not a port: ports are 1 to 65535")]
    OutOfRange(String),
    /// The first port is above the last.
    #[error("the range {first}-{last} is the wrong way round")]
    Reversed {
        /// What stands before the dash.
        first: u16,
        /// What stands after the dash.
        last: u16,
    },
    /// Neither a number nor a range.
    #[error("`{0}` is not a port number")]
    NotANumber(String),
}

impl PortRangeError {
    pub(super) fn fix(&self) -> String {
        match self {
            Self::Reversed { first, last } => format!("write {last}-{first}"),
            _ => "write a number like 3000 or a range like 3000-3010".to_owned(),
        }
    }
}
