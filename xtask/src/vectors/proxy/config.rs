//! Cases of the proxy's configuration file.

use serde_json::{Value, json};
use support::config::{Document, go_duration};

use super::Result;

/// Whether the configuration is taken.
pub(super) fn config(input: &Value) -> Result<Value> {
    let document = Document::of(input["config"].clone())?;
    let config = ws_proxy::config::check(&document);
    Ok(json!({ "valid": document.finish(config).is_ok() }))
}

/// How long a setting is.
pub(super) fn duration(input: &Value) -> Value {
    match go_duration(&input["json"]) {
        Ok(duration) => json!({ "nanoseconds": duration.as_nanos() }),
        Err(_) => json!({ "error": true }),
    }
}
