//! Cases of gitpod-routing.
//!
//! ```text
//! case ─ installation, workspaces ─▶ the stages of gitpod-routing ─▶ servers in this process
//! ```
//!
//! Where our defaults are stricter than the reference, the cases are replayed with the
//! options that follow it; gitpod-routing's crate docs list them. Static content of editors
//! (blobserve), response compression and SSH are not part of the crate: cases that need the
//! first are skipped by name, and `Vary: Accept-Encoding` of the second is not compared.

use serde_json::{Value, json};

use super::outcome::Outcome;

mod config;
mod http;
mod installation;
mod small;
mod upstream;

/// Replays one case; `None` if its group is not supported yet.
pub(crate) fn replay(group: &str, fixtures: &Value, case: &Value) -> Option<Outcome> {
    let fixtures = fixtures.get("fixtures").unwrap_or(fixtures);
    let input = &case["input"];
    let expect = &case["expect"];
    let got = match group {
        "hostname" => small::hostname(input),
        "workspace-id" => small::workspace_id(input),
        "auth" => small::auth(fixtures, input),
        // Most are about the filter alone, some about a whole request.
        "cookie" if input.get("target").is_none() => small::cookie(input),
        "cookie-name" => small::cookie_name(input),
        "session-cookie-name" => small::session_cookie_name(input),
        "url-port" => small::url_port(input),
        "config" => config::config(input),
        "duration" => Ok(config::duration(input)),
        "redirect" => config::redirect(fixtures, input),
        "cookie" | "route" | "websocket" | "cors" => http::replay(fixtures, input, expect),
        _ => return None,
    };
    Some(match got {
        Ok(got) => compare(expect, &got),
        Err(Why::Skip(why)) => Outcome::Skipped(why),
        Err(Why::Broken(why)) => Outcome::Differs {
            expected: expect.clone(),
            got: json!({ "cannot be replayed": why }),
        },
    })
}

/// Why a case has no result.
#[derive(Debug)]
enum Why {
    /// It is about something that is not here.
    Skip(String),
    /// It cannot be read, or its replay went wrong.
    Broken(String),
}

impl<E: std::error::Error> From<E> for Why {
    fn from(why: E) -> Self {
        Self::Broken(why.to_string())
    }
}

type Result<T> = std::result::Result<T, Why>;

/// Compares the parts that are in both. What `got` lacks is not ours to give.
fn compare(expect: &Value, got: &Value) -> Outcome {
    let wanted: serde_json::Map<_, _> = expect
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| got.get(key.as_str()).is_some())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let same = wanted
        .iter()
        .all(|(key, value)| got.get(key) == Some(value));
    if same && !wanted.is_empty() {
        return Outcome::Same;
    }
    Outcome::Differs {
        expected: Value::Object(wanted),
        got: got.clone(),
    }
}

/// Text below `key`; empty if there is none.
fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Pairs of header name and value below `key`.
fn pairs<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = (&'v str, &'v str)> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)))
}
