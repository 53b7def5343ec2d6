//! Names: of a workspace, and of one run of it.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;

/// Name of one workspace, unique within an installation and stable over restarts.
///
/// Either a UUID in lowercase, or three lowercase words joined by dashes
/// (`pink-panda-ns35kd21`: 2 to 16, 2 to 16 and 8 to 11 letters or digits). A
/// value of this type has been checked, and is safe to use as a DNS label, a
/// file name and a Kubernetes object name. The text is part of the value, so that
/// comparing and cloning it touch no other memory.
///
/// **Source:** workspace ids of the reference system; upper case never matches.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkspaceId(ArrayString<LONGEST_WORKSPACE_ID>);

impl WorkspaceId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is a workspace id.
    #[must_use]
    pub fn matches(text: &str) -> bool {
        // In one pass: this runs once or twice for each request.
        let (mut lengths, mut part, mut start) = ([0_usize; 5], 0, 0);
        let mut hexadecimal = true;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'0'..=b'9' | b'a'..=b'f' => {}
                b'g'..=b'z' => hexadecimal = false,
                b'-' => {
                    let Some(length) = lengths.get_mut(part) else {
                        return false;
                    };
                    *length = at - start;
                    (part, start) = (part + 1, at + 1);
                }
                _ => return false,
            }
        }
        match (part, lengths, text.len() - start) {
            (2, [2..=16, 2..=16, ..], 8..=11) => true, // words
            (4, [8, 4, 4, 4, _], 12) => hexadecimal,   // a UUID
            _ => false,
        }
    }
}

impl FromStr for WorkspaceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !Self::matches(text) {
            return Err(IdError);
        }
        ArrayString::from(text).map(Self).map_err(|_| IdError)
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of one run of a workspace: a new one for each start.
///
/// 1 to 63 letters, digits and dashes in lowercase, with no dash at an end: a
/// DNS label, so that it can name a Kubernetes object. The reference system uses
/// version 4 UUIDs. The text is part of the value.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InstanceId(ArrayString<LONGEST_LABEL>);

impl InstanceId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known_letters = text
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'-'));
        let dash_at_end = text.starts_with('-') || text.ends_with('-');
        if !known_letters || dash_at_end || text.is_empty() {
            return Err(IdError);
        }
        ArrayString::from(text).map(Self).map_err(|_| IdError)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the name of a workspace, or of a run of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a workspace id")]
#[non_exhaustive]
pub struct IdError;

/// Words of 16, 16 and 11 letters, and two dashes.
const LONGEST_WORKSPACE_ID: usize = 45;

/// **Source:** RFC 1035, section 2.3.4.
const LONGEST_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_names_fit_and_longer_ones_are_none() {
        let workspace = "abcdefghijklmnop-abcdefghijklmnop-abcdefghijk";
        assert_eq!(
            workspace
                .parse()
                .map(|id: WorkspaceId| id.as_str() == workspace),
            Ok(true)
        );
        let instance = "a".repeat(63);
        assert_eq!(
            instance
                .parse()
                .map(|id: InstanceId| id.as_str() == instance),
            Ok(true)
        );
        for text in [
            "a".repeat(64),
            String::new(),
            "-a".into(),
            "a-".into(),
            "A".into(),
        ] {
            assert_eq!(text.parse::<InstanceId>(), Err(IdError), "{text:?}");
        }
    }

    #[test]
    fn two_shapes_are_ids_and_nothing_else_is() {
        let cases = [
            ("pink-panda-ns35kd21", true),
            ("12-34-abcdefgh", true), // words may be all digits
            ("3f2a9c10-5b7d-4e1a-9c44-0a1b2c3d4e5f", true),
            ("3g2a9c10-5b7d-4e1a-9c44-0a1b2c3d4e5f", false), // not hexadecimal
            ("Pink-panda-ns35kd21", false),
            ("p-panda-ns35kd21", false),
            ("pink-panda-ns35kd2", false),
            ("pink-panda-ns35kd21a2b3", false),
            ("", false),
            ("pink-panda-ns35kd21\n", false),
        ];
        for (text, expected) in cases {
            assert_eq!(WorkspaceId::matches(text), expected, "{text:?}");
        }
    }
}
