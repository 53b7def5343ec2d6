//! Statuses as cases write them → as a manager sends them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use gitpod_lifecycle::{
    InitializerMetric, InitializerMetrics, StatusUpdate, UpdateBool, UpdateConditions,
    UpdateImageInfo, UpdateKind, UpdatePhase, UpdatePort, UpdateProtocol, UpdateRuntime,
    UpdateVisibility,
};
use serde_json::{Map, Value};

/// What `value` says; `None` if a manager could not say it: a part that must be there is not.
pub(super) fn read(value: &Value) -> Result<Option<StatusUpdate>> {
    for part in ["metadata", "spec", "conditions"] {
        if value.get(part).is_some_and(Value::is_null) {
            return Ok(None);
        }
    }
    read_parts(value).map(Some)
}

/// As [`read`]; parts that must be there and are not count as empty.
pub(super) fn read_parts(value: &Value) -> Result<StatusUpdate> {
    let mut status = StatusUpdate::new(text(value, "id"), phase(text(value, "phase"))?);
    status.status_version = number(value, "status_version");
    status.message = text(value, "message").to_owned();
    metadata(&mut status, part(value, "metadata"))?;
    spec(&mut status, part(value, "spec"))?;
    status.conditions = conditions(part(value, "conditions"))?;
    let runtime = value.get("runtime").filter(|runtime| runtime.is_object());
    status.runtime = runtime.map(|runtime| {
        let word = |key| text(runtime, key);
        UpdateRuntime::new(word("node_name"), word("pod_name"), word("node_ip"))
    });
    let token = part(value, "auth").get("owner_token");
    status.auth.owner_token = token.and_then(Value::as_str).map(Into::into);
    if let Some(metrics) = value.get("initializer_metrics").and_then(Value::as_object) {
        status.initializer_metrics = Some(initializer_metrics(metrics));
    }
    Ok(status)
}

fn metadata(status: &mut StatusUpdate, value: &Value) -> Result<()> {
    status.metadata.owner = text(value, "owner").to_owned();
    status.metadata.meta_id = text(value, "meta_id").to_owned();
    if let Some(annotations) = value.get("annotations") {
        status.metadata.annotations = serde_json::from_value(annotations.clone())?;
    }
    let image = value
        .get("metrics")
        .and_then(|metrics| metrics.get("image"));
    status.metadata.image = image.filter(|image| image.is_object()).map(|image| {
        let size = |key| image.get(key).and_then(Value::as_i64).unwrap_or_default();
        UpdateImageInfo::new(size("total_size"), size("workspace_image_size"))
    });
    Ok(())
}

fn spec(status: &mut StatusUpdate, value: &Value) -> Result<()> {
    let spec = &mut status.spec;
    spec.url = text(value, "url").to_owned();
    spec.timeout = text(value, "timeout").to_owned();
    spec.class = text(value, "class").to_owned();
    spec.workspace_image = text(value, "workspace_image").to_owned();
    spec.closed_timeout = text(value, "closed_timeout").to_owned();
    spec.kind = match text(value, "type") {
        "" | "regular" => UpdateKind::Regular,
        "prebuild" => UpdateKind::Prebuild,
        "imagebuild" => UpdateKind::ImageBuild,
        other => UpdateKind::Other(raw(other)?),
    };
    let ports = value.get("exposed_ports").and_then(Value::as_array);
    let ports = ports.into_iter().flatten().map(port);
    spec.exposed_ports = ports.collect::<Result<_>>()?;
    Ok(())
}

fn port(value: &Value) -> Result<UpdatePort> {
    let mut port = UpdatePort::new(u32::try_from(number(value, "port"))?, text(value, "url"));
    port.visibility = match text(value, "visibility") {
        "" | "private" => UpdateVisibility::Private,
        "public" => UpdateVisibility::Public,
        _ => UpdateVisibility::Other(99),
    };
    port.protocol = match text(value, "protocol") {
        "" | "http" => UpdateProtocol::Http,
        "https" => UpdateProtocol::Https,
        _ => UpdateProtocol::Other(99),
    };
    Ok(port)
}

/// The conditions that `value` describes.
pub(super) fn conditions(value: &Value) -> Result<UpdateConditions> {
    let holds = |key| match text(value, key) {
        "" | "false" => Ok(UpdateBool::False),
        "true" => Ok(UpdateBool::True),
        "empty" => Ok(UpdateBool::Empty),
        other => bail!("`{other}` is no answer to {key}"),
    };
    let mut conditions = UpdateConditions::default();
    conditions.failed = text(value, "failed").to_owned();
    conditions.timeout = text(value, "timeout").to_owned();
    conditions.snapshot = text(value, "snapshot").to_owned();
    conditions.headless_task_failed = text(value, "headless_task_failed").to_owned();
    conditions.pulling_images = holds("pulling_images")?;
    conditions.deployed = holds("deployed")?;
    conditions.stopped_by_request = holds("stopped_by_request")?;
    conditions.final_backup_complete = holds("final_backup_complete")?;
    conditions.network_not_ready = holds("network_not_ready")?;
    conditions.aborted = holds("aborted")?;
    let first_use = text(value, "first_user_activity");
    if !first_use.is_empty() {
        conditions.first_user_activity = Some(first_use.parse().context("first_user_activity")?);
    }
    Ok(conditions)
}

/// The phase named `word`.
pub(super) fn phase(word: &str) -> Result<UpdatePhase> {
    Ok(match word {
        "" | "unknown" => UpdatePhase::Unknown,
        "pending" => UpdatePhase::Pending,
        "creating" => UpdatePhase::Creating,
        "initializing" => UpdatePhase::Initializing,
        "running" => UpdatePhase::Running,
        "interrupted" => UpdatePhase::Interrupted,
        "stopping" => UpdatePhase::Stopping,
        "stopped" => UpdatePhase::Stopped,
        other => UpdatePhase::Other(raw(other)?),
    })
}

fn initializer_metrics(members: &Map<String, Value>) -> InitializerMetrics {
    let metric = |key: &str| {
        let value = members.get(key).filter(|value| value.is_object())?;
        let duration = value
            .get("duration")
            .filter(|duration| duration.is_object());
        let mut metric = InitializerMetric::default();
        metric.size = number(value, "size");
        metric.duration = duration.map(|duration| {
            let nanos = u32::try_from(number(duration, "nanos")).unwrap_or_default();
            Duration::new(number(duration, "seconds"), nanos)
        });
        Some(metric)
    };
    let mut metrics = InitializerMetrics::default();
    metrics.git = metric("git");
    metrics.file_download = metric("file_download");
    metrics.snapshot = metric("snapshot");
    metrics.backup = metric("backup");
    metrics.prebuild = metric("prebuild");
    metrics.composite = metric("composite");
    metrics
}

/// A number of an enumeration that nobody knows: `num:7`.
fn raw(word: &str) -> Result<i32> {
    let number = word.strip_prefix("num:");
    let number = number.with_context(|| format!("`{word}` is neither a word nor a number"))?;
    Ok(number.parse()?)
}

fn part<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}
