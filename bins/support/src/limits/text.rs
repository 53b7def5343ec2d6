//! Limits as people write them: `head-time=30s`.

use std::fmt;
use std::str::FromStr;

use gitpod_lifecycle::GoDuration;

use super::{GIB, KIB, Limit, Limits, MIB, Unit};

/// `name=value`, checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting(pub(super) (Limit, u64));

impl FromStr for Setting {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (name, value) = text.split_once('=').ok_or(LimitError::Form)?;
        let limit = Limit::ALL.into_iter().find(|limit| limit.name() == name);
        let limit = limit.ok_or_else(|| LimitError::Name(name.to_owned()))?;
        let read = match limit.unit() {
            Unit::Count => number(value),
            Unit::Bytes => bytes(value),
            Unit::Time => time(value),
        };
        let read = read.ok_or(LimitError::Value(limit))?;
        match read >= limit.row().least {
            true => Ok(Self((limit, read))),
            false => Err(LimitError::TooLittle(limit)),
        }
    }
}

impl Setting {
    /// Sets it in `limits`.
    pub fn apply(self, limits: &mut Limits) {
        limits.0.insert(self.0.0, self.0.1);
    }
}

/// The text sets no limit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// No `=`.
    #[error("write NAME=VALUE, such as head-time=30s")]
    Form,
    /// There is none of this name.
    #[error("there is no limit {0:?}; there are {all}", all = Names)]
    Name(String),
    /// The value is none of its unit.
    #[error("{} is {}", .0.name(), form(.0.unit()))]
    Value(Limit),
    /// The value is too little.
    #[error("{} must be {} at least", .0.name(), .0.text_of(.0.row().least))]
    TooLittle(Limit),
}

fn form(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "a number",
        Unit::Bytes => "a number of bytes, such as 64KiB or 2GiB",
        Unit::Time => "a time, such as 30s or 1m30s",
    }
}

struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Limit::ALL.map(Limit::name).join(", "))
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", KIB), ("MiB", MIB), ("GiB", GIB)];
    for (suffix, unit) in units {
        if let Some(number_of) = text.strip_suffix(suffix) {
            return number(number_of)?.checked_mul(unit);
        }
    }
    number(text)
}

pub(super) fn bytes_as_text(value: u64) -> String {
    match value {
        0 => "0".to_owned(),
        _ if value.is_multiple_of(GIB) => format!("{}GiB", value / GIB),
        _ if value.is_multiple_of(MIB) => format!("{}MiB", value / MIB),
        _ if value.is_multiple_of(KIB) => format!("{}KiB", value / KIB),
        _ => value.to_string(),
    }
}

fn time(text: &str) -> Option<u64> {
    let time = text.parse::<GoDuration>().ok()?.to_std()?;
    u64::try_from(time.as_millis()).ok()
}
