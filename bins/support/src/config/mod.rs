//! A JSON document that becomes a configuration, or a list of everything that is wrong with it.
//!
//! ```
//! use support::config::Document;
//!
//! let document = Document::parse(r#"{"rpcServer": {"addr": 8080}, "colour": "red"}"#)?;
//! let address = document.root().section("rpcServer").required::<String>("addr");
//! let wrong = document.finish(address).unwrap_err();
//! assert_eq!(wrong.problems()[0].to_string(), "rpcServer.addr: is a number; write a text");
//! # Ok::<(), support::config::NotJson>(())
//! ```
//!
//! Keys are found whatever their case, as in the reference. A key that nobody asked for is no mistake, but
//! [`Checked::unknown`] names it, so that a typing error does not go unseen.

mod document;
mod setting;

pub use self::document::{Checked, Document, Invalid, NotJson, Problem, Section};
pub use self::setting::{Parsed, Setting, go_duration};

use std::path::Path;

use anyhow::Context;

/// Reads `file` and makes a configuration of it with `check`. Unknown keys are logged.
///
/// # Errors
///
/// If it cannot be read, is not JSON, or `check` finds mistakes: then all of them are named.
pub fn load<T>(file: &Path, check: impl FnOnce(&Document) -> Option<T>) -> anyhow::Result<T> {
    let place = || format!("cannot use the configuration {}", file.display());
    let text = std::fs::read_to_string(file).with_context(place)?;
    let document = Document::parse(&text).with_context(place)?;
    let config = check(&document);
    let checked = document.finish(config).with_context(place)?;
    for key in &checked.unknown {
        tracing::warn!(key, "unknown key in the configuration: it has no effect");
    }
    for (key, why) in &checked.without_effect {
        tracing::warn!(key, why, "key of the configuration has no effect here");
    }
    Ok(checked.config)
}
