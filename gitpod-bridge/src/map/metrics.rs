//! Sizes and durations that are kept for each instance.

use std::collections::BTreeMap;
use std::time::Duration;

use gitpod_lifecycle::{InitializerMetric, InitializerMetrics, StatusUpdate};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sizes and durations of one instance: what one status adds to them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InstanceMetrics {
    /// How large its image is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageMetrics>,
    /// How long each way of getting its content took.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub initializer: BTreeMap<String, InitializerDuration>,
}

/// How large an image is, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ImageMetrics {
    /// All of it.
    pub total_size: i64,
    /// The user's own part.
    pub workspace_image_size: i64,
}

/// How long one way of getting content took, and how much that was.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InitializerDuration {
    /// Milliseconds, with fraction.
    pub duration_ms: f64,
    /// Bytes.
    pub size: u64,
}

impl InstanceMetrics {
    /// What `status` says of them; `None` if nothing.
    #[must_use]
    pub fn of(status: &StatusUpdate) -> Option<Self> {
        let image = status.metadata.image.map(|image| ImageMetrics {
            total_size: image.total_size,
            workspace_image_size: image.workspace_image_size,
        });
        let initializer = status.initializer_metrics.as_ref();
        let initializer = initializer.map(durations).unwrap_or_default();
        let metrics = Self { image, initializer };
        (metrics != Self::default()).then_some(metrics)
    }

    /// As the document that databases keep.
    #[must_use]
    pub fn to_document(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn durations(metrics: &InitializerMetrics) -> BTreeMap<String, InitializerDuration> {
    let named = [
        ("git", metrics.git),
        ("file_download", metrics.file_download),
        ("snapshot", metrics.snapshot),
        ("backup", metrics.backup),
        ("prebuild", metrics.prebuild),
        ("composite", metrics.composite),
    ];
    let known = named.into_iter().filter_map(|(name, metric)| {
        let InitializerMetric { duration, size, .. } = metric?;
        let duration_ms = milliseconds(duration?);
        Some((name.to_owned(), InitializerDuration { duration_ms, size }))
    });
    known.collect()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// `current` with all leaves of `update` in it.
///
/// Objects are merged key by key; anything else of `update`, also a zero or a
/// list, takes the place of what was there. What `update` lacks stays.
#[must_use]
pub fn merge_metrics(current: Value, update: Value) -> Value {
    match (current, update) {
        (Value::Object(mut current), Value::Object(update)) => {
            for (key, new) in update {
                let old = current.remove(&key).unwrap_or_default();
                current.insert(key, merge_metrics(old, new));
            }
            Value::Object(current)
        }
        (_, update) => update,
    }
}

#[cfg(test)]
mod tests {
    use gitpod_lifecycle::{UpdateImageInfo, UpdatePhase};
    use serde_json::json;

    use super::*;

    #[test]
    fn siblings_stay_and_zero_counts() {
        let current = json!({"initializer": {"git": {"duration_ms": 5, "size": 6}}, "image": {"total_size": 9}});
        let update = json!({"initializer": {"backup": {"size": 2}}, "image": {"total_size": 0}});
        let merged = json!({"initializer": {"git": {"duration_ms": 5, "size": 6}, "backup": {"size": 2}}, "image": {"total_size": 0}});
        assert_eq!(merge_metrics(current, update), merged);
    }

    #[test]
    fn entries_without_duration_are_left_out() {
        let mut status = StatusUpdate::new("i1", UpdatePhase::Running);
        assert_eq!(InstanceMetrics::of(&status), None);
        let mut initializer = InitializerMetrics::default();
        initializer.git = Some(InitializerMetric::new(Duration::from_micros(1500), 7));
        initializer.backup = Some(InitializerMetric::default());
        status.initializer_metrics = Some(initializer);
        status.metadata.image = Some(UpdateImageInfo::new(0, 0));
        let document = InstanceMetrics::of(&status).unwrap().to_document();
        assert_eq!(
            document,
            json!({"image": {"total_size": 0, "workspace_image_size": 0}, "initializer": {"git": {"duration_ms": 1.5, "size": 7}}})
        );
    }
}
