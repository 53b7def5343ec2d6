//! Where the concrete parts meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use gitpod_bridge::{
    Bridge, Controller, GrpcSource, Origin, Registering, Relay, SqliteStore, StatusSource,
};
use gitpod_lifecycle::grpc::client;
use support::dial;
use support::ops::{Health, Metrics, Operations};
use support::tls::ClientTls;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::announce::PrintedLines;
use crate::config::{Cluster, Config, Register};
use crate::listed::Noting;

/// Carries until `stop`; then finishes what is in wait, and announces it.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    // Everything that can be refused is refused before a port is bound.
    let clusters = open_all(&config.clusters)?;
    let store = SqliteStore::open(&config.database)
        .await
        .context("cannot open the database; mend what is named, or configure another file")?;
    let store = Arc::new(store);

    let listed = Arc::new(AtomicBool::new(false));
    serve_operations(&config, &listed, &stop).await?;
    let carrying = TaskTracker::new();
    for (cluster, tls) in clusters {
        let source = Arc::new(Noting {
            source: GrpcSource::new(client::over(dial::channel(&cluster.address, tls))),
            listed: Arc::clone(&listed),
        });
        let name = cluster.name.as_str();
        // The controller asks for the list only: rows are made by the bridge.
        let controller = Controller::new(source.clone(), store.clone(), name);
        let controller = controller.with_settings(config.controller);
        let source: Arc<dyn StatusSource> = match config.register {
            Register::Them => Arc::new(Registering::new(source, store.clone(), name)),
            Register::Nobody => source,
        };
        let bridge = Bridge::new(source, store.clone(), Origin::new(name));
        carrying.spawn(bridge.run(stop.clone()));
        carrying.spawn(controller.run(stop.clone()));
    }
    carrying.close();

    // The relay ends last: it announces what the others have left.
    let all_carried = CancellationToken::new();
    let relay = Relay::new(store.clone(), Arc::new(PrintedLines::new()));
    let relay = tokio::spawn(relay.run(all_carried.clone()));
    carrying.wait().await;
    all_carried.cancel();
    relay.await.context("the relay has ended early")?;
    store.close().await;
    Ok(())
}

/// Name in the certificates of managers. **Source:** the reference.
const MANAGER: &str = "ws-manager";

fn open_all(clusters: &[Cluster]) -> anyhow::Result<Vec<(&Cluster, Option<ClientTls>)>> {
    let open = |cluster: &Cluster| {
        let files = cluster.tls.clone();
        files
            .map(|files| ClientTls::open(files, MANAGER))
            .transpose()
    };
    clusters
        .iter()
        .map(|cluster| Ok((cluster, open(cluster)?)))
        .collect()
}

async fn serve_operations(
    config: &Config,
    listed: &Arc<AtomicBool>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let listed = Arc::clone(listed);
    let health = Health::new()
        .with("managers", move || match listed.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err("no manager was reached yet".to_owned()),
        })
        .until(stop.clone());
    let metrics = Metrics::start()?;
    Operations::health(health)
        .serve("health", config.health.as_ref(), stop)
        .await?;
    Operations::metrics(metrics)
        .serve("metrics", config.metrics.as_ref(), stop)
        .await
}
