//! Where the concrete parts meet.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gitpod_gateway::{FileStore, Registry};
use jiff::Timestamp;
use support::listen::{Address, Listener};
use support::ops::{Health, Metrics, Operations};
use support::serve::Server;
use support::state_dir::StateDir;
use support::tls::ServerTls;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::{admin, api, authority};

/// Where operators come to, in the state directory.
pub(crate) const ADMIN_SOCKET: &str = "admin.sock";
const RECORDS: &str = "network.json";
/// How often tokens that have expired are removed.
const TIDY: Duration = Duration::from_secs(3600);

/// Serves until `stop`.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    // Everything that can be refused is refused before a port is bound.
    let tls = ServerTls::open(config.tls.clone())?;
    let held = StateDir::hold(&config.state_dir)?;
    let authority = authority::open(held.path(), &config, Timestamp::now()).await?;
    let records = FileStore::open(held.path().join(RECORDS))
        .context("cannot read network.json; mend it, or put a copy in its place")?;
    let registry = Registry::new(config.network.clone(), authority, Arc::new(records));

    let metrics = Metrics::start()?;
    let hosts = Listener::bind("hosts", &config.listen).await?;
    let operators = Address::Unix(held.path().join(ADMIN_SOCKET));
    let operators = Listener::bind("operators", &operators).await?;
    let health = Health::new().until(stop.clone());
    Operations::health(health)
        .serve("health", config.health.as_ref(), &stop)
        .await?;
    Operations::metrics(metrics)
        .serve("metrics", config.metrics.as_ref(), &stop)
        .await?;
    tokio::spawn(tidy(registry.clone()));

    let for_hosts = Server::new()
        // A certificate that is renewed counts without a restart.
        .with_tls(Some(tls.reloading(stop.clone())))
        .serve(hosts, api::routes(registry.clone()), stop.clone());
    let for_operators = Server::new().serve(operators, admin::routes(registry), stop);
    tokio::join!(for_hosts, for_operators);
    Ok(())
}

async fn tidy(registry: Registry) {
    loop {
        if let Err(why) = registry.tidy(Timestamp::now()).await {
            tracing::warn!(
                why = &why as &dyn std::error::Error,
                "old tokens are not removed"
            );
        }
        tokio::time::sleep(TIDY).await;
    }
}
