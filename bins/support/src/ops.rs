//! What operators ask: metrics and health.
//!
//! | path | |
//! |---|---|
//! | `/metrics` | Prometheus' text format |
//! | `/healthz` | 200 as long as the process serves |
//! | `/readyz` | 200 if every check passes, 503 if not; `?verbose` names each with its result |
//! | `/healthz/NAME`, `/readyz/NAME` | one check |

mod about;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::listen::{Address, Listener};
use crate::serve::Server;

/// Everything that is measured in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Begins to measure. Once a process.
    ///
    /// # Errors
    ///
    /// If somebody else measures already.
    pub fn start() -> anyhow::Result<Self> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .context("cannot begin to measure")?;
        about::describe_all();
        let upkeep = handle.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self(handle))
    }
}

/// **Source:** the reference proxy's, seconds.
const BUCKETS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 30.0, 60.0, 120.0, 240.0, 600.0,
];
/// Measurements wait in memory until somebody looks at them, or this is over.
const UPKEEP: Duration = Duration::from_secs(5);

/// Whether one thing works that requests need.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks of a process.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Vec<(&'static str, Check)>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.checks.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl Health {
    /// Without checks: ready as soon as it serves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ready only if `check` passes, too.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let mut checks = self.checks.to_vec();
        checks.push((name, Arc::new(check)));
        self.checks = Arc::new(checks);
        self
    }

    /// Not ready any more once `stop` is cancelled, so that no new traffic comes.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        self.with("running", move || match stop.is_cancelled() {
            true => Err("asked to end".to_owned()),
            false => Ok(()),
        })
    }

    fn answer(&self, path: &str, verbose: bool) -> Response<Full<Bytes>> {
        let checks: Vec<_> = match path.split_once('/') {
            None if path == "healthz" => Vec::new(),
            None => self.checks.iter().collect(),
            Some((_, name)) => match self.checks.iter().find(|(known, _)| *known == name) {
                Some(check) => vec![check],
                None => return text(StatusCode::NOT_FOUND, format!("there is no check {name}\n")),
            },
        };
        let mut status = StatusCode::OK;
        let mut told = String::new();
        for (name, check) in checks {
            match check() {
                Ok(()) => told.push_str(&format!("[+]{name} ok\n")),
                Err(why) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    told.push_str(&format!("[-]{name} failed: {why}\n"));
                }
            }
        }
        match (status, verbose) {
            (StatusCode::OK, false) => text(status, "ok".to_owned()),
            (StatusCode::OK, true) => text(status, told + "check passed\n"),
            _ => text(status, told + "check failed\n"),
        }
    }
}

/// Serves metrics or health, or both, at its address until `stop`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Operations {
    metrics: Option<Metrics>,
    health: Option<Health>,
}

impl Operations {
    /// `/metrics`.
    #[must_use]
    pub fn metrics(metrics: Metrics) -> Self {
        Self {
            metrics: Some(metrics),
            health: None,
        }
    }

    /// `/healthz` and `/readyz`.
    #[must_use]
    pub fn health(health: Health) -> Self {
        Self {
            metrics: None,
            health: Some(health),
        }
    }

    /// Both.
    #[must_use]
    pub fn both(metrics: Metrics, health: Health) -> Self {
        Self {
            metrics: Some(metrics),
            health: Some(health),
        }
    }

    /// Listens at `address`, if there is one, and serves `what` until `stop`.
    ///
    /// # Errors
    ///
    /// If the address cannot be had.
    pub async fn serve(
        self,
        what: &str,
        address: Option<&Address>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let Some(address) = address else {
            return Ok(());
        };
        let listener = Listener::bind(what, address).await?;
        self.serve_at(listener, stop);
        Ok(())
    }

    /// Serves `what` at `listener` until `stop`.
    pub fn serve_at(self, listener: Listener, stop: &CancellationToken) {
        let service = tower::service_fn(move |request: Request<_>| {
            let answer = self.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        // With limits of its own, so that operators get in when nobody else does.
        tokio::spawn(Server::new().serve(listener, service, stop.clone()));
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, String::new());
        }
        let path = request.uri().path().trim_start_matches('/');
        let verbose = request.uri().query().is_some_and(|query| {
            let mut words = query.split('&');
            words.any(|word| word == "verbose" || word.starts_with("verbose="))
        });
        let first = path.split('/').next().unwrap_or_default();
        match (first, &self.metrics, &self.health) {
            ("metrics", Some(metrics), _) => text(StatusCode::OK, metrics.0.render()),
            ("healthz" | "readyz", _, Some(health)) => health.answer(path, verbose),
            _ => text(StatusCode::NOT_FOUND, "there is nothing here\n".to_owned()),
        }
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(operations: &Operations, path: &str) -> (u16, String) {
        let response = operations.answer(&Request::get(path).body(()).unwrap());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_is_measured_says_what_it_is() {
        let operations = Operations::metrics(Metrics::start().unwrap());
        crate::limits::Limits::new().show([crate::limits::Limit::HeadTime]);
        metrics::counter!("gitpod_ws_proxy_wakes_total", "outcome" => "running").increment(1);
        let (_, told) = ask(&operations, "/metrics").await;
        for line in [
            "# HELP gitpod_limit what a limit is: in things, bytes or seconds",
            "gitpod_limit_refusals_total{limit=\"head-time\"} 0",
            "# HELP gitpod_ws_proxy_wakes_total ",
        ] {
            assert!(told.contains(line), "{line} is not in\n{told}");
        }
    }

    #[tokio::test]
    async fn ready_is_who_passes_every_check() {
        let stop = CancellationToken::new();
        let health = Health::new().with("list", || Ok(())).until(stop.clone());
        let operations = Operations::health(health);
        let ok = |text: &str| (200, text.to_owned());
        assert_eq!(ask(&operations, "/readyz").await, ok("ok"));
        let all = "[+]list ok\n[+]running ok\ncheck passed\n";
        assert_eq!(ask(&operations, "/readyz?verbose").await, ok(all));
        stop.cancel();
        let failed = "[+]list ok\n[-]running failed: asked to end\ncheck failed\n";
        assert_eq!(ask(&operations, "/readyz").await, (503, failed.to_owned()));
        assert_eq!(ask(&operations, "/readyz/list").await, ok("ok"));
        assert_eq!(ask(&operations, "/healthz").await, ok("ok"));
        assert_eq!(ask(&operations, "/readyz/none").await.0, 404);
        assert_eq!(ask(&operations, "/metrics").await.0, 404);
    }
}
