//! Where the concrete parts meet.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context;
use gitpod_lifecycle::grpc::WorkspaceManagerService;
use gitpod_lifecycle::process::{
    FileRecords, GitContent, Layout, Limits, ProcessCluster, ProcessSettings,
};
use gitpod_lifecycle::{Adapters, Clock, Manager, Records, Settings};
use support::listen::Listener;
use support::ops::{Health, Metrics, Operations};
use support::serve::Server;
use support::state_dir::StateDir;
use support::tls::ServerTls;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::Layer;

use crate::config::Config;
use crate::count_calls::CountCallsLayer;

/// Calls are short; streams of subscribers never end by themselves.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until `stop`. Workspaces go on.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    // Everything that can be refused is refused before a port is bound.
    let tls = config.rpc_tls.clone().map(ServerTls::open).transpose()?;
    let held = StateDir::hold(&config.local.state_dir)?;
    let manager = open_manager(&config, &held).await?;
    let metrics = Metrics::start()?;
    let listener = Listener::bind("gRPC", &config.rpc).await?;

    let health = Health::new().until(stop.clone());
    Operations::health(health)
        .serve("health", config.health.as_ref(), &stop)
        .await?;
    Operations::metrics(metrics)
        .serve("metrics", config.metrics.as_ref(), &stop)
        .await?;

    let service = WorkspaceManagerService::new(manager).with_policy(config.policy);
    let routes = Routes::new(service).prepare();
    // Outermost, so that what is refused is counted as well.
    let routes = CountCallsLayer.layer(routes);
    Server::new()
        // A certificate that is renewed counts without a restart.
        .with_tls(tls.map(|tls| tls.reloading(stop.clone())))
        .with_drain(DRAIN)
        .serve(listener, routes, stop)
        .await;
    Ok(())
}

async fn open_manager(config: &Config, held: &StateDir) -> anyhow::Result<Manager> {
    let layout = Layout::new(held.path());
    let cluster = ProcessCluster::new(process_settings(config, &layout));
    let records = FileRecords::open(layout.instances())
        .await
        .context("cannot read the records of instances")?;
    end_unknown(&records, &cluster).await?;
    let mut settings = Settings::new(
        config.url_template.clone(),
        config.port_url_template.clone(),
    )
    .with_timeouts(config.timeouts);
    settings.host_url.clone_from(&config.host_url);
    settings.heartbeat_interval = config.heartbeat_interval;
    let content = GitContent::new(layout);
    content
        .remove_unfinished()
        .await
        .context("cannot remove unfinished clones")?;
    let adapters = Adapters::new(records, cluster, content);
    let manager = Manager::open(adapters, settings, Clock::system())
        .await
        .context("cannot start the manager")?;
    for broken in manager.broken_records() {
        tracing::warn!(%broken, "a record is left out");
    }
    Ok(manager)
}

/// Ends runs whose records are broken, before the next ones meet them in their files.
async fn end_unknown(records: &FileRecords, cluster: &ProcessCluster) -> anyhow::Result<()> {
    let listing = records.list().await;
    let listing = listing.context("cannot read the records of instances")?;
    let instances = listing.records.into_iter();
    let known: Vec<_> = instances.map(|record| record.spec.instance).collect();
    cluster
        .end_unknown(&known)
        .await
        .context("cannot end what earlier runs have left")
}

fn process_settings(config: &Config, layout: &Layout) -> ProcessSettings {
    // The supervisor is this very program, so that one file is enough. Named by
    // process, it is found even if that file has been replaced since.
    let this = format!("/proc/{}/exe", std::process::id());
    let supervisor: Vec<OsString> = vec![this.into(), "supervisor".into()];
    let mut limits = Limits::default();
    limits.processes = Some(4096); // a fork bomb must not end the machine
    limits.open_files = Some(65_536); // for each process: what servers and watchers ask for
    ProcessSettings::new(
        layout.clone(),
        supervisor,
        config.url_template.clone(),
        config.port_url_template.clone(),
    )
    .with_limits(limits)
    .with_ide(config.local.ide.clone())
    .with_network(config.local.network)
}
