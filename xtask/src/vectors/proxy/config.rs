//! Cases of the proxy's program: its configuration file, and its listener in the clear.

use gitpod_routing::HostPattern;
use http::Request;
use serde_json::{Map, Value, json};
use support::config::{Document, go_duration};

use super::{Result, text};

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

/// Where a request in the clear is sent.
pub(super) fn redirect(fixtures: &Value, input: &Value) -> Result<Value> {
    let suffix = text(&fixtures["installations"]["test"], "ws_host_suffix");
    let pattern = HostPattern::new(suffix.trim_start_matches('.'))?;
    let request = Request::builder()
        .method(text(input, "method"))
        .uri(text(input, "target"))
        .header("host", text(input, "host"))
        .body(())?;
    let response = ws_proxy::redirect::to_tls(&pattern, 443, &request.into_parts().0);
    let mut headers = Map::new();
    for (name, value) in response.headers() {
        headers.insert(name.to_string(), value.to_str()?.into());
    }
    Ok(json!({ "status": response.status().as_u16(), "headers": headers }))
}
