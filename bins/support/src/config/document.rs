//! The document, and what is wrong with it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::setting::Setting;

/// A JSON object that is being read.
#[derive(Debug)]
pub struct Document {
    root: Map<String, Value>,
    notes: RefCell<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    problems: Vec<Problem>,
    without_effect: Vec<(String, &'static str)>,
    /// Keys that were asked for, in lower case, with those above them.
    asked: BTreeSet<String>,
    /// Of those, the ones whose value is read key by key.
    opened: BTreeSet<String>,
}

/// The text is no JSON object.
#[derive(Debug, thiserror::Error)]
#[error("it is not a JSON object; see docs for an example")]
pub struct NotJson(#[source] Option<serde_json::Error>);

impl Document {
    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// If it is not a JSON object.
    pub fn parse(text: &str) -> Result<Self, NotJson> {
        let value = serde_json::from_str(text).map_err(|why| NotJson(Some(why)))?;
        Self::of(value)
    }

    /// Reads `value`.
    ///
    /// # Errors
    ///
    /// If it is not an object.
    pub fn of(value: Value) -> Result<Self, NotJson> {
        match value {
            Value::Object(root) => Ok(Self {
                root,
                notes: RefCell::default(),
            }),
            _ => Err(NotJson(None)),
        }
    }

    /// All of it.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section {
            path: String::new(),
            map: Some(&self.root),
            notes: &self.notes,
        }
    }

    /// `config`, if nothing is wrong.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn finish<T>(self, config: Option<T>) -> Result<Checked<T>, Invalid> {
        let notes = self.notes.into_inner();
        match config {
            Some(config) if notes.problems.is_empty() => {
                let mut unknown = Vec::new();
                find_unknown(&self.root, "", &notes, &mut unknown);
                Ok(Checked {
                    config,
                    unknown,
                    without_effect: notes.without_effect,
                })
            }
            _ => Err(Invalid(notes.problems)),
        }
    }
}

fn find_unknown(map: &Map<String, Value>, path: &str, notes: &Notes, found: &mut Vec<String>) {
    for (key, value) in map {
        let full = join(path, key);
        let lower = full.to_ascii_lowercase();
        match value {
            Value::Object(inner) if notes.opened.contains(&lower) => {
                find_unknown(inner, &full, notes, found);
            }
            Value::Array(items) if notes.asked.contains(&lower) => {
                for (place, item) in items.iter().enumerate() {
                    let path = format!("{full}[{place}]");
                    match item {
                        Value::Object(inner)
                            if notes.opened.contains(&path.to_ascii_lowercase()) =>
                        {
                            find_unknown(inner, &path, notes, found);
                        }
                        _ => {}
                    }
                }
            }
            _ if notes.asked.contains(&lower) => {}
            _ => found.push(full),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// A configuration without mistakes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked<T> {
    /// What was made of the document.
    pub config: T,
    /// Keys that nobody asked for.
    pub unknown: Vec<String>,
    /// Keys that are known, and why they do nothing here.
    pub without_effect: Vec<(String, &'static str)>,
}

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// Which key, with those above it.
    pub key: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What to write.
    pub write: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; write {}", self.key, self.wrong, self.write)
    }
}

/// All mistakes of a document.
#[derive(Debug)]
pub struct Invalid(Vec<Problem>);

impl Invalid {
    /// The mistakes, in the order in which they were met.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Invalid {}

/// An object within the document, or its absence.
#[derive(Clone, Debug)]
pub struct Section<'d> {
    path: String,
    map: Option<&'d Map<String, Value>>,
    notes: &'d RefCell<Notes>,
}

impl<'d> Section<'d> {
    /// The object below `key`. Where there is none, all that it requires is missing.
    #[must_use]
    pub fn section(&self, key: &str) -> Self {
        self.optional_section(key).unwrap_or_else(|| Self {
            path: join(&self.path, key),
            map: None,
            notes: self.notes,
        })
    }

    /// The object below `key`, if there is one.
    #[must_use]
    pub fn optional_section(&self, key: &str) -> Option<Self> {
        let value = self.value(key)?;
        let path = join(&self.path, key);
        let Value::Object(map) = value else {
            self.problem(key, kind_of(value), "an object: { … }");
            return None;
        };
        let mut notes = self.notes.borrow_mut();
        notes.opened.insert(path.to_ascii_lowercase());
        drop(notes);
        Some(Self {
            path,
            map: Some(map),
            notes: self.notes,
        })
    }

    /// Each object within the object below `key`, with its own key.
    #[must_use]
    pub fn sections(&self, key: &str) -> Vec<(String, Self)> {
        let Some(section) = self.optional_section(key) else {
            return Vec::new();
        };
        let keys = section.map.into_iter().flat_map(Map::keys);
        keys.filter_map(|key| Some((key.clone(), section.optional_section(key)?)))
            .collect()
    }

    /// Each object within the list below `key`; anything else in it is a mistake.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<Self> {
        let write = "a list of objects: [{ … }]";
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Value::Array(items) = value else {
            self.problem(key, kind_of(value), write);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let path = format!("{}[{place}]", join(&self.path, key));
            let Value::Object(map) = item else {
                self.problem(
                    &format!("{key}[{place}]"),
                    kind_of(item),
                    "an object: { … }",
                );
                continue;
            };
            let mut notes = self.notes.borrow_mut();
            notes.opened.insert(path.to_ascii_lowercase());
            sections.push(Self {
                path,
                map: Some(map),
                notes: self.notes,
            });
        }
        sections
    }

    /// Whether the object is there at all.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.map.is_some()
    }

    /// The value of `key`, which must be there, and neither empty nor zero.
    #[must_use]
    pub fn required<T: Setting>(&self, key: &str) -> Option<T> {
        let value = match self.value(key) {
            Some(value) => T::read(value),
            None => Ok(None),
        };
        match value {
            Ok(Some(value)) => return Some(value),
            Ok(None) => self.problem(key, "is missing", T::WRITE),
            Err(wrong) => self.problem(key, wrong, T::WRITE),
        }
        None
    }

    /// The value of `key`, if it is there, and neither empty nor zero.
    #[must_use]
    pub fn optional<T: Setting>(&self, key: &str) -> Option<T> {
        match T::read(self.value(key)?) {
            Ok(value) => value,
            Err(wrong) => {
                self.problem(key, wrong, T::WRITE);
                None
            }
        }
    }

    /// Says that `key` does nothing here, and `why`, if it is there.
    pub fn without_effect(&self, key: &str, why: &'static str) {
        if self.value(key).is_some() {
            let mut notes = self.notes.borrow_mut();
            notes.without_effect.push((join(&self.path, key), why));
        }
    }

    /// Says that the value of `key` is `wrong`.
    pub fn problem(&self, key: &str, wrong: impl Into<String>, write: impl Into<String>) {
        self.notes.borrow_mut().problems.push(Problem {
            key: join(&self.path, key),
            wrong: wrong.into(),
            write: write.into(),
        });
    }

    /// `null` counts as absent.
    fn value(&self, key: &str) -> Option<&'d Value> {
        let path = join(&self.path, key).to_ascii_lowercase();
        self.notes.borrow_mut().asked.insert(path);
        let map = self.map?;
        let in_any_case = || {
            let mut all = map.iter();
            all.find_map(|(name, value)| name.eq_ignore_ascii_case(key).then_some(value))
        };
        map.get(key)
            .or_else(in_any_case)
            .filter(|value| !value.is_null())
    }
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "is null",
        Value::Bool(_) => "is a yes or no",
        Value::Number(_) => "is a number",
        Value::String(_) => "is a text",
        Value::Array(_) => "is a list",
        Value::Object(_) => "is an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_and_what_nobody_knows_is_told() {
        let text = r#"{"A": {"b": "", "typo": 1}, "old": true, "c": 70000, "list": {"x": {"n": 1, "m": 2}}}"#;
        let document = Document::parse(text).unwrap();
        let root = document.root();
        assert_eq!(root.section("a").required::<String>("b"), None);
        assert_eq!(root.optional::<u16>("c"), None);
        assert_eq!(root.section("gone").required::<bool>("d"), None);
        let problems = document.finish(None::<()>).unwrap_err().to_string();
        let expected = "a.b: is missing; write a text\n\
                        c: 70000 is not from 1 to 65535; write a port number\n\
                        gone.d: is missing; write true or false";
        assert_eq!(problems, expected);

        let document = Document::parse(text).unwrap();
        let root = document.root();
        let _ = root.section("a").optional::<String>("b");
        root.without_effect("old", "it is old");
        let _ = root.optional::<usize>("c");
        for (_, each) in root.sections("list") {
            let _ = each.optional::<usize>("n");
        }
        let checked = document.finish(Some(())).unwrap();
        assert_eq!(checked.unknown, ["A.typo", "list.x.m"]);
        assert_eq!(checked.without_effect, [("old".to_owned(), "it is old")]);
    }
}
