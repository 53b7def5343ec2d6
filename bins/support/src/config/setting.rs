//! Values of one key.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gitpod_lifecycle::GoDuration;
use serde_json::Value;

use super::document::kind_of;
use crate::listen::Address;

/// A value that a key can have.
pub trait Setting: Sized {
    /// What to write, as it goes on after "write".
    const WRITE: &'static str;

    /// Reads it; `None` if it is empty or zero, which counts as absent.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read(value: &Value) -> Result<Option<Self>, String>;
}

impl Setting for String {
    const WRITE: &'static str = "a text";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let text = value.as_str().ok_or_else(|| kind_of(value).to_owned())?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

impl Setting for PathBuf {
    const WRITE: &'static str = "the path of a file or directory";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        Ok(String::read(value)?.map(Self::from))
    }
}

impl Setting for bool {
    const WRITE: &'static str = "true or false";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let flag = value.as_bool().ok_or_else(|| kind_of(value).to_owned())?;
        Ok(Some(flag))
    }
}

impl Setting for usize {
    const WRITE: &'static str = "a whole number, not negative";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let number = value
            .as_u64()
            .and_then(|number| Self::try_from(number).ok());
        match (number, value) {
            (Some(number), _) => Ok((number > 0).then_some(number)),
            (None, Value::Number(number)) => Err(format!("{number} is not such a number")),
            (None, other) => Err(kind_of(other).to_owned()),
        }
    }
}

impl Setting for u16 {
    const WRITE: &'static str = "a port number";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let Value::Number(number) = value else {
            return Err(kind_of(value).to_owned());
        };
        let port = number
            .as_u64()
            .and_then(|number| Self::try_from(number).ok());
        match port {
            Some(port) => Ok((port > 0).then_some(port)),
            None => Err(format!("{number} is not from 1 to 65535")),
        }
    }
}

impl Setting for f32 {
    const WRITE: &'static str = "a number";

    #[expect(clippy::cast_possible_truncation, reason = "prices, not measurements")]
    fn read(value: &Value) -> Result<Option<Self>, String> {
        let number = value.as_f64().ok_or_else(|| kind_of(value).to_owned())?;
        Ok((number != 0.0).then_some(number as Self))
    }
}

impl Setting for Duration {
    const WRITE: &'static str = "a duration such as \"30s\" or \"1h30m\"";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let duration = go_duration(value)?;
        let length = duration
            .to_std()
            .ok_or_else(|| format!("{duration} is negative"))?;
        Ok((!length.is_zero()).then_some(length))
    }
}

/// A duration as the reference writes it: Go's text, or a number of nanoseconds whose fraction
/// does not count.
///
/// # Errors
///
/// What is wrong with it.
pub fn go_duration(value: &Value) -> Result<GoDuration, String> {
    match value {
        Value::String(text) => text.parse().map_err(|why| format!("{text:?}: {why}")),
        Value::Number(number) => nanoseconds(number)
            .map(GoDuration::from_nanos)
            .ok_or_else(|| format!("{number} nanoseconds are too many")),
        other => Err(kind_of(other).to_owned()),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
fn nanoseconds(number: &serde_json::Number) -> Option<i64> {
    const LIMIT: f64 = 9.2e18; // about i64::MAX: 292 years
    let cut = |number: f64| (number.abs() < LIMIT).then_some(number.trunc() as i64);
    number.as_i64().or_else(|| number.as_f64().and_then(cut))
}

impl Setting for Address {
    const WRITE: &'static str =
        "an address such as \"127.0.0.1:8080\", \":8080\" for all interfaces, or \"unix:/path\"";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let text = String::read(value)?;
        text.map(|text| text.parse().map_err(|why| format!("{text:?}: {why}")))
            .transpose()
    }
}

/// Whatever can be read from text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Parsed<T>(pub T);

impl<T: FromStr<Err: Display>> Setting for Parsed<T> {
    const WRITE: &'static str = "a text as the documentation shows";

    fn read(value: &Value) -> Result<Option<Self>, String> {
        let text = String::read(value)?;
        let parse = |text: String| text.parse().map_err(|why| format!("{text:?}: {why}"));
        Ok(text.map(parse).transpose()?.map(Self))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_text_or_nanoseconds() {
        let seconds = |value| Duration::read(&value);
        assert_eq!(seconds(json!("1m30s")), Ok(Some(Duration::from_secs(90))));
        let one = Ok(Some(Duration::from_secs(1)));
        assert_eq!(seconds(json!(1_000_000_000.7)), one);
        assert_eq!(seconds(json!("0s")), Ok(None));
        for wrong in [
            json!("soon"),
            json!("-1s"),
            json!(-5),
            json!(1e30),
            json!(true),
        ] {
            assert!(seconds(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
