//! What the servers of a test have measured.

use std::sync::LazyLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Of all servers of this process. To be forced before the first of them.
pub(crate) static MEASURED: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());

/// How often `limit` was met so far.
pub(crate) fn refused(limit: &str) -> u64 {
    let counter = format!("gitpod_limit_refusals_total{{limit=\"{limit}\"}} ");
    let text = MEASURED.render();
    let line = text.lines().find_map(|line| line.strip_prefix(&counter));
    line.map_or(0, |count| count.parse().unwrap())
}
