//! A vector file: which format it has, and its cases.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// The three formats; each file says by its top level which one it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Format {
    /// `schema_version`: requests, hostnames, cookies, SSH logins.
    Proxy,
    /// `schemaVersion`: status, actions, timeouts of the workspace manager.
    Manager,
    /// `schema: "bridge-cases/1"`: status mapping, clusters.
    Bridge,
}

/// A file whose top level is sound; its cases may still be anything.
#[derive(Debug)]
pub(crate) struct VectorFile {
    pub(crate) format: Format,
    /// The top level without `cases`.
    pub(crate) fixtures: Value,
    pub(crate) cases: Vec<Value>,
}

impl VectorFile {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let bytes = std::fs::read(path)
            .with_context(|| format!("cannot read {name}; give the path of a vector file, for example testdata/ws-proxy-cases.json"))?;
        let top = serde_json::from_slice(&bytes)
            .with_context(|| format!("{name} is not JSON; vector files are one JSON object"))?;
        Self::from_json(top).with_context(|| format!("{name} is not a vector file"))
    }

    pub(crate) fn from_json(top: Value) -> anyhow::Result<Self> {
        let Value::Object(mut top) = top else {
            bail!("its top level is not an object; expected an object with a list `cases`");
        };
        let format = format_of(&top)?;
        let cases = match top.remove("cases") {
            Some(Value::Array(cases)) => cases,
            Some(_) => bail!("`cases` is not a list"),
            None => bail!("it has no list `cases`"),
        };
        Ok(Self {
            format,
            fixtures: Value::Object(top),
            cases,
        })
    }
}

fn format_of(top: &Map<String, Value>) -> anyhow::Result<Format> {
    let (key, format, known) = if top.contains_key("schema_version") {
        ("schema_version", Format::Proxy, Value::from(1))
    } else if top.contains_key("schemaVersion") {
        ("schemaVersion", Format::Manager, Value::from(1))
    } else if top.contains_key("schema") {
        ("schema", Format::Bridge, Value::from("bridge-cases/1"))
    } else {
        bail!(
            "its format is unknown; the top level needs `\"schema_version\": 1` (ws-proxy), `\"schemaVersion\": 1` (ws-manager) or `\"schema\": \"bridge-cases/1\"` (bridge)"
        );
    };
    match top.get(key) {
        Some(found) if *found != known => {
            bail!("its `{key}` is {found}, and only {known} can be replayed")
        }
        _ => Ok(format),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn format_is_recognised_by_the_top_level() {
        for (top, format) in [
            (json!({"schema_version": 1, "cases": []}), Format::Proxy),
            (json!({"schemaVersion": 1, "cases": []}), Format::Manager),
            (
                json!({"schema": "bridge-cases/1", "cases": []}),
                Format::Bridge,
            ),
        ] {
            assert_eq!(VectorFile::from_json(top).unwrap().format, format);
        }
    }

    #[test]
    fn what_is_not_a_vector_file_is_refused_with_a_reason() {
        for (top, reason) in [
            (json!([]), "not an object"),
            (json!({"cases": []}), "format is unknown"),
            (
                json!({"schema_version": 2, "cases": []}),
                "only 1 can be replayed",
            ),
            (json!({"schemaVersion": 1}), "no list `cases`"),
            (
                json!({"schema": "bridge-cases/1", "cases": {}}),
                "not a list",
            ),
        ] {
            let why = VectorFile::from_json(top).unwrap_err().to_string();
            assert!(why.contains(reason), "{why}");
        }
    }

    #[test]
    fn fixtures_are_the_top_level_without_the_cases() {
        let file = VectorFile::from_json(json!({"schema_version": 1, "cases": [], "fixtures": 7}));
        assert_eq!(
            file.unwrap().fixtures,
            json!({"schema_version": 1, "fixtures": 7})
        );
    }
}
