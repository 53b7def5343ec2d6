//! Which network workspaces get, said before they need it.

use gitpod_lifecycle::process::{NoOwnNetwork, ProcessCluster};

use crate::cli::Network;
use crate::exit::Failure;
use crate::print;

/// Finds out whether `cluster` can do what was `wanted`, and says what comes of it.
///
/// Only what was asked for by name is waited for; else `up` is ready meanwhile, and
/// the first workspace waits for the answer.
pub(super) async fn settle(wanted: Network, cluster: &ProcessCluster) -> Result<(), Failure> {
    match wanted {
        Network::Own => {
            cluster.own_networks().await.map_err(|why| refuse(&why))?;
            print::note(OWN);
        }
        Network::Shared => print::note(SHARED),
        Network::Auto => {
            let cluster = cluster.clone();
            tokio::spawn(async move { print::note(&told(cluster.own_networks().await)) });
        }
    }
    Ok(())
}

const OWN: &str = "network: each workspace has its own";
const SHARED: &str = "network: all workspaces share this machine's";

fn told(own: Result<(), NoOwnNetwork>) -> String {
    match own {
        Ok(()) => OWN.to_owned(),
        Err(why) => format!("{SHARED}, as {why}; to change that: {}", why.fix()),
    }
}

fn refuse(why: &NoOwnNetwork) -> Failure {
    Failure::failed("cannot give workspaces their own network")
        .because(why)
        .fix(format!("{}, or use --network shared", why.fix()))
}
