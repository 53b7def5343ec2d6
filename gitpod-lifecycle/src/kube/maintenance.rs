//! Whether a ConfigMap says that the installation is being maintained.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Deserialize;

use crate::facts::Maintenance;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    enabled_until: Option<Timestamp>,
}

/// What the ConfigMap of the reference system says: `{"enabledUntil": "…"}` under
/// the key `config.json`.
///
/// Off if there is no such map, key or instant, or if it cannot be read; unknown
/// keys are tolerated. It ends by itself.
///
/// **Source:** manager specification, section 11.
#[must_use]
pub fn maintenance_of(map: Option<&ConfigMap>, now: Timestamp) -> Maintenance {
    let text = map.and_then(|map| map.data.as_ref()?.get("config.json"));
    let config: Option<Config> = text.and_then(|text| serde_json::from_str(text).ok());
    match config.and_then(|config| config.enabled_until) {
        Some(until) if now < until => Maintenance::On,
        _ => Maintenance::Off,
    }
}
