//! Who hears that a workspace is used.

use std::fmt;
use std::sync::{Arc, LazyLock};

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use memchr::memmem::Finder;
use papaya::HashMap;

use crate::id::{InstanceId, WorkspaceId};
use crate::info::WorkspaceInfo;
use crate::service::{self, WorkspaceService};

/// Hears that a workspace is used, so that it is not stopped for being idle.
///
/// Called once for each request and each login, and at most four times a second for each stream
/// that is used; on the path of the request: return at once, and coalesce. What one call leaves out, the next one says.
///
/// # Source
///
/// Chosen by us: the reference counts SSH only, and leaves HTTP to the editor.
pub trait ActivitySink: fmt::Debug + Send + Sync + 'static {
    /// Workspace `info` is used now.
    fn active(&self, info: &WorkspaceInfo);
}

/// Whether `request` to `service` means that somebody uses the workspace: not if a browser
/// asks ahead of time or whether it may ask, a page reloads itself, or a program only looks
/// whether it is well. What is no use starts nothing, either.
pub(crate) fn is_use<B>(service: WorkspaceService, request: &Request<B>) -> bool {
    let headers = request.headers();
    !is_look(service, request) && !is_preflight(request) && !service::comes_by_itself(headers)
}

/// Whether only time can tell if `request` to `service` is use: a page that sends itself on asks
/// for what a person is to see, or for what she has clicked on to download. Nobody waits long
/// for the one; what goes on coming is the other.
pub(crate) fn is_use_if_it_lasts<B>(service: WorkspaceService, request: &Request<B>) -> bool {
    let headers = request.headers();
    let is_use_but = !is_look(service, request) && !is_preflight(request);
    is_use_but && !service::is_ahead_of_time(headers)
}

/// Whether somebody only looks how the workspace is.
pub(crate) fn is_look<B>(service: WorkspaceService, request: &Request<B>) -> bool {
    let asks_how_it_is =
        service == WorkspaceService::Supervisor && service::leads_to(request.uri().path(), STATUS);
    asks_how_it_is || is_health_check(request.headers())
}

/// Whether a browser asks for a page what that page may ask for: nobody sees the answer.
fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a program says that it only looks whether a server is well. Those that do not say
/// are not noticed.
fn is_health_check(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    let agent = agent.unwrap_or_default();
    // To look for all words costs more than all else that is decided of a request.
    if agent.is_empty() || is_of_a_browser(agent) {
        return false;
    }
    let agent = agent.to_ascii_lowercase();
    FINDERS.iter().any(|word| word.find(&agent).is_some())
}

/// Whether it begins as what browsers call themselves, with the system that they run on.
fn is_of_a_browser(agent: &[u8]) -> bool {
    let system = agent.strip_prefix(b"Mozilla/5.0 (");
    system.is_some_and(|system| !system.starts_with(b"compatible"))
}

/// Below this the supervisor tells how it and the workspace are.
const STATUS: &str = "/_supervisor/v1/status";

/// **Source:** what Kubernetes, load balancers and services that watch others call themselves.
const CHECKERS: [&str; 17] = [
    "kube-probe",
    "healthcheck",
    "health check",
    "health-check",
    "health_check",
    "googlehc",
    "envoy/hc",
    "blackbox exporter",
    "prometheus/",
    "uptime",
    "pingdom",
    "statuscake",
    "site24x7",
    "datadog/synthetics",
    "datadogsynthetics",
    "check_http/",
    "zabbix",
];

static FINDERS: LazyLock<Vec<Finder<'static>>> =
    LazyLock::new(|| CHECKERS.iter().map(|word| Finder::new(*word)).collect());

/// An [`ActivitySink`] that listens to nobody: workspaces are stopped by other means.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct IgnoreActivity;

impl IgnoreActivity {
    /// The sink.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl ActivitySink for IgnoreActivity {
    fn active(&self, _info: &WorkspaceInfo) {}
}

/// An [`ActivitySink`] that counts. It keeps an entry for every run, so it is for tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryActivity {
    uses: Arc<HashMap<(WorkspaceId, InstanceId), u64>>,
}

impl MemoryActivity {
    /// With nothing counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a run of a workspace was used.
    #[must_use]
    pub fn uses_of(&self, info: &WorkspaceInfo) -> u64 {
        let key = (info.id.clone(), info.instance.clone());
        self.uses.pin().get(&key).copied().unwrap_or_default()
    }
}

impl ActivitySink for MemoryActivity {
    fn active(&self, info: &WorkspaceInfo) {
        let key = (info.id.clone(), info.instance.clone());
        self.uses.pin().update_or_insert(key, |uses| uses + 1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_that_say_so_are_known_and_people_are_not_taken_for_one() {
        let is_check = |agent: &'static str| {
            let agent = HeaderValue::from_static(agent);
            is_health_check(&HeaderMap::from_iter([(USER_AGENT, agent)]))
        };
        for agent in [
            "kube-probe/1.33",
            "ELB-HealthChecker/2.0",
            "GoogleHC/1.0",
            "Amazon-Route53-Health-Check-Service (ref 0123; report http://amzn.to/1vsZADi)",
            "Envoy/HC",
            "Datadog/Synthetics",
            "Mozilla/5.0 (compatible; DatadogSynthetics)",
            "check_http/v2.3 (monitoring-plugins 2.3)",
            "StatusCake",
            "Site24x7",
            "Prometheus/2.45.0",
            "Blackbox Exporter/0.25.0",
            "Zabbix 7.0",
            "UptimeRobot/2.0",
        ] {
            assert!(is_check(agent), "{agent}");
        }
        for agent in [
            "curl/8.14.1",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "python-requests/2.32.3",
            "Go-http-client/1.1",
        ] {
            assert!(!is_check(agent), "{agent}");
        }
    }
}
