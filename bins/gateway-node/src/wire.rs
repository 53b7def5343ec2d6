//! Where the concrete parts meet.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use support::ask::Client;
use support::ops::{Health, Metrics, Operations};
use support::state_dir::StateDir;
use support::tls::ClientTls;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::follow::Member;
use crate::join::join;
use crate::keep::{Keys, Membership};
use crate::nebula::Nebula;

/// Is a host of the network until `stop`.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    // Everything that can be refused is refused before anything is made.
    let tls = ClientTls::trusting(config.authority.clone(), &config.server_name)?;
    let held = StateDir::hold(&config.state_dir)?;
    let keys = Keys::open(held.path())?;
    let client = Client::new(config.server.clone(), Some(tls));
    let metrics = Metrics::start()?;

    let joining = async {
        match Membership::load(held.path())? {
            Some(membership) => Ok((keys, membership)),
            None => join(&client, held.path(), keys, config.token_file.as_deref()).await,
        }
    };
    let Some(joined) = stop.run_until_cancelled(joining).await else {
        return Ok(());
    };
    let (keys, membership) = joined?;
    let nebula = Nebula::new(config.program.clone(), held.path());
    let member = Member {
        client,
        dir: held.path().to_owned(),
        keys,
        options: config.options.clone(),
        nebula: nebula.clone(),
        token_file: config.token_file.clone(),
        refused: String::new(),
        now: Arc::new(RwLock::new(membership.clone())),
    };
    serve_operations(&config, metrics, &member, &stop).await?;

    nebula.configure(&member.rendered(&membership)).await?;
    let keeping = nebula.run(stop.clone());
    let following = stop.run_until_cancelled(member.follow());
    tokio::join!(keeping, following);
    Ok(())
}

async fn serve_operations(
    config: &Config,
    metrics: Metrics,
    member: &Member,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (nebula, now) = (member.nebula.clone(), Arc::clone(&member.now));
    let health = Health::new()
        .with("nebula", move || match nebula.runs() {
            true => Ok(()),
            false => Err("it does not run".to_owned()),
        })
        .with("certificate", move || {
            let member = now.read().unwrap_or_else(PoisonError::into_inner);
            match member.bundle.not_after > Timestamp::now() {
                true => Ok(()),
                false => Err("it has expired".to_owned()),
            }
        })
        .until(stop.clone());
    Operations::health(health)
        .serve("health", config.health.as_ref(), stop)
        .await?;
    Operations::metrics(metrics)
        .serve("metrics", config.metrics.as_ref(), stop)
        .await
}
