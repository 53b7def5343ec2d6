//! What each metric is, in a line of its own above it: `# HELP`.

/// Says so of all that any of our programs measures. Those that do not come up are not shown.
pub(super) fn describe_all() {
    for (name, about) in COUNTERS {
        metrics::describe_counter!(*name, *about);
    }
    for (name, about) in GAUGES {
        metrics::describe_gauge!(*name, *about);
    }
    for (name, about) in HISTOGRAMS {
        metrics::describe_histogram!(*name, *about);
    }
}

const COUNTERS: &[(&str, &str)] = &[
    (
        "gitpod_limit_refusals_total",
        "how often somebody met a limit",
    ),
    (
        "gitpod_ws_proxy_http_server_requests_total",
        "requests of clients",
    ),
    (
        "gitpod_ws_proxy_http_client_requests_total",
        "requests to workspaces",
    ),
    (
        "gitpod_ws_proxy_refusals_total",
        "requests that were refused, by reason",
    ),
    (
        "gitpod_ws_proxy_wakes_total",
        "starts of stopped workspaces for who came to them, by outcome",
    ),
    (
        "gitpod_ws_proxy_connections_refused_total",
        "connections that were not made",
    ),
    (
        "gitpod_ws_proxy_streams_revoked_total",
        "streams that were ended because they were not allowed any more",
    ),
    ("gitpod_ws_proxy_ssh_attempt_total", "logins over SSH"),
    (
        "gitpod_ws_proxy_ssh_bytes_total",
        "bytes of SSH channels, by direction",
    ),
    (
        "gitpod_ws_proxy_ssh_ended_total",
        "SSH connections that have ended, by cause",
    ),
    (
        "gitpod_ws_proxy_ssh_refused_total",
        "SSH connections that were refused, by reason",
    ),
    (
        "http_connections_ended_early_total",
        "connections that failed before or between requests",
    ),
    (
        "http_drain_cut_total",
        "connections that were cut when the drain was over",
    ),
];

const GAUGES: &[(&str, &str)] = &[
    (
        "gitpod_limit",
        "what a limit is: in things, bytes or seconds",
    ),
    (
        "gitpod_ws_proxy_held_requests",
        "requests that wait for a workspace that starts",
    ),
    (
        "gitpod_ws_proxy_upgrades",
        "open WebSockets and other tunnels into workspaces",
    ),
    (
        "gitpod_ws_proxy_ssh_connection_count",
        "open SSH connections",
    ),
    (
        "gitpod_ws_proxy_ssh_held_bytes",
        "bytes that wait for slow readers in SSH connections",
    ),
    (
        "gitpod_activity_unreported_seconds",
        "age of the oldest use that is not recorded yet",
    ),
    (
        "gitpod_workspace_source_connected",
        "1 while the manager is followed",
    ),
    ("http_connections", "open connections of clients"),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    (
        "gitpod_ws_proxy_http_server_requests_duration_seconds",
        "from the head of a client's request to that of its answer",
    ),
    (
        "gitpod_ws_proxy_http_client_requests_duration_seconds",
        "from the head of a request to a workspace to that of its answer",
    ),
];
