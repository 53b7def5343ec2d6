//! Durations as Go writes them: `1h30m0s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time as Go counts it: whole nanoseconds, up to about ± 292 years.
///
/// Parses what Go's `time.ParseDuration` parses, and prints the same text as
/// Go's `Duration.String`: `1h30m0s`, `1.5s`, `100ms`, `0s`. For every value,
/// parsing what was printed gives the value back.
///
/// ```
/// use gitpod_lifecycle::GoDuration;
///
/// let half_hour: GoDuration = "0.5h".parse()?;
/// assert_eq!(half_hour.to_string(), "30m0s");
/// # Ok::<(), gitpod_lifecycle::GoDurationError>(())
/// ```
///
/// **Source:** documentation of Go's package `time`; manager specification, section 4.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration(i64);

impl GoDuration {
    /// `nanos` nanoseconds.
    #[must_use]
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// As a number of nanoseconds.
    #[must_use]
    pub fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// As a length of time that cannot be negative; `None` if it is.
    #[must_use]
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

/// Lengths beyond 292 years become that.
impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl FromStr for GoDuration {
    type Err = GoDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        match digits {
            "0" => return Ok(Self(0)),
            "" => return Err(GoDurationError::Malformed),
            _ => {}
        }
        let nanos = magnitude(digits)?;
        let signed = if negative {
            0_i64.checked_sub_unsigned(nanos)
        } else {
            i64::try_from(nanos).ok()
        };
        signed.map(Self).ok_or(GoDurationError::TooLong)
    }
}

/// Sum of all parts of `text`, in nanoseconds, up to 2⁶³.
fn magnitude(mut text: &str) -> Result<u64, GoDurationError> {
    let mut sum = 0_u64;
    while !text.is_empty() {
        let (part, rest) = leading_part(text)?;
        text = rest;
        sum = sum
            .checked_add(part)
            .filter(|sum| *sum <= LIMIT)
            .ok_or(GoDurationError::TooLong)?;
    }
    Ok(sum)
}

/// Nanoseconds of the number and unit that `text` starts with, and what follows.
fn leading_part(text: &str) -> Result<(u64, &str), GoDurationError> {
    let (whole, rest) = leading_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => leading_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(GoDurationError::Malformed);
    }
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest
        .split_at_checked(unit_end)
        .ok_or(GoDurationError::Malformed)?;
    let unit = nanos_of_unit(unit)?;
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| GoDurationError::TooLong)?
    };
    let nanos = unit
        .checked_mul(whole)
        .filter(|nanos| *nanos <= LIMIT)
        .ok_or(GoDurationError::TooLong)?;
    let nanos = nanos
        .checked_add(fraction_of(fraction, unit))
        .ok_or(GoDurationError::TooLong)?;
    Ok((nanos, rest))
}

fn leading_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn nanos_of_unit(unit: &str) -> Result<u64, GoDurationError> {
    Ok(match unit {
        "ns" => 1,
        // U+00B5 (micro sign) and U+03BC (Greek letter mu)
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "" => return Err(GoDurationError::NoUnit),
        _ => return Err(GoDurationError::UnknownUnit),
    })
}

/// `0.digits` of `unit`, rounded down. Digits that cannot matter are not read.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    const MOST_DIGITS: usize = 18;
    let digits = digits.get(..MOST_DIGITS).unwrap_or(digits);
    let numerator: u128 = digits.parse().unwrap_or(0);
    let scale = (0..digits.len()).fold(1_u128, |scale, _| scale * 10);
    u64::try_from(numerator * u128::from(unit) / scale).unwrap_or(0)
}

const SECOND: u64 = 1_000_000_000;
const LIMIT: u64 = 1 << 63;

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (unit, digits, name) = match nanos {
            0 => return f.pad("0s"),
            1..1_000 => (1, 0, "ns"),
            1_000..1_000_000 => (1_000, 3, "µs"),
            1_000_000..SECOND => (1_000_000, 6, "ms"),
            _ => (SECOND, 9, "s"),
        };
        let (minutes, rest) = (nanos / (60 * SECOND), nanos % (60 * SECOND));
        let large = match (minutes / 60, minutes % 60) {
            (0, 0) => String::new(),
            (0, minutes) => format!("{minutes}m"),
            (hours, minutes) => format!("{hours}h{minutes}m"),
        };
        let fraction = format!("{:0digits$}", rest % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        f.pad(&format!(
            "{sign}{large}{}{point}{fraction}{name}",
            rest / unit
        ))
    }
}

impl TryFrom<String> for GoDuration {
    type Error = GoDurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<GoDuration> for String {
    fn from(duration: GoDuration) -> Self {
        duration.to_string()
    }
}

/// The text is not a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GoDurationError {
    /// It is not a row of numbers with units.
    #[error("not a duration such as 1h30m or 45s")]
    Malformed,
    /// A number has no unit.
    #[error("duration lacks a unit: one of ns, us, ms, s, m, h")]
    NoUnit,
    /// A number has a unit that does not exist.
    #[error("unit of duration is not one of ns, us, ms, s, m, h")]
    UnknownUnit,
    /// It is longer than about 292 years.
    #[error("duration is longer than 292 years")]
    TooLong,
}

/// `duration` in hours and minutes, `02h05m`, rounded to the minute: for people.
///
/// Hours take as many digits as they need, at least two.
#[must_use]
pub fn hours_and_minutes(duration: Duration) -> String {
    let minutes = duration.as_secs().saturating_add(30) / 60;
    format!("{:02}h{:02}m", minutes / 60, minutes % 60)
}

/// Optional durations in records: Go's text, or null.
pub(crate) mod optional_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::GoDuration;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(GoDuration::from).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(duration) = Option::<GoDuration>::deserialize(from)? else {
            return Ok(None);
        };
        let negative = || D::Error::custom(format_args!("duration {duration} is negative"));
        duration.to_std().map(Some).ok_or_else(negative)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        let second = 1_000_000_000;
        let cases = [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("1.5h", Ok(5_400 * second)),
            (".5s", Ok(second / 2)),
            ("1.s", Ok(second)),
            ("1h1h", Ok(7_200 * second)), // units may repeat
            ("1\u{3bc}s", Ok(1_000)),
            ("0.1ns", Ok(0)), // below a nanosecond
            ("9223372036854775807ns", Ok(i64::MAX)),
            ("-9223372036854775808ns", Ok(i64::MIN)),
            ("9223372036854775808ns", Err(GoDurationError::TooLong)),
            ("99999999999999999999h", Err(GoDurationError::TooLong)),
            ("", Err(GoDurationError::Malformed)),
            ("-", Err(GoDurationError::Malformed)),
            (".s", Err(GoDurationError::Malformed)),
            ("1 s", Err(GoDurationError::UnknownUnit)),
            ("1d", Err(GoDurationError::UnknownUnit)),
            ("1S", Err(GoDurationError::UnknownUnit)), // case matters
            ("3", Err(GoDurationError::NoUnit)),
            ("+-1s", Err(GoDurationError::Malformed)),
        ];
        for (text, expected) in cases {
            let read = text.parse::<GoDuration>().map(GoDuration::as_nanos);
            assert_eq!(read, expected, "{text:?}");
        }
    }

    #[test]
    fn canonical_text_is_what_go_prints() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(GoDuration::from_nanos(nanos).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_give_the_value_back(nanos: i64) {
            let duration = GoDuration::from_nanos(nanos);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+.0-9nuµmsh ]{0,24}") {
            if let Ok(read) = text.parse::<GoDuration>() {
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }
    }
}
