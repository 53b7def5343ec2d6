//! Where everything comes in.

use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::time::{Instant, sleep};

use super::config::Config;
use super::replace::{self, Predecessor, Secret};
use super::{listen, ssh};
use crate::exit::Failure;

/// The sockets that everybody comes to.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) http: TcpListener,
    pub(super) ssh: Option<TcpListener>,
    /// Made once the state directory is held, unless somebody has made it before.
    pub(super) commands: Option<UnixListener>,
}

impl Doors {
    /// Takes the addresses: over from the `up` that runs, if it is to be replaced. One that is just being replaced by
    /// somebody else is waited for, to be replaced in turn.
    pub(super) async fn open(
        config: &Config,
        secret: &Secret,
    ) -> Result<(Self, Option<Predecessor>), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            if config.replace
                && let Some((doors, before)) = replace::take(config, secret).await?
            {
                return Ok((doors, Some(before)));
            }
            match Self::bind(config) {
                Ok(doors) => return Ok((doors, None)),
                Err(_) if config.replace && Instant::now() < until => sleep(LOOK_AGAIN).await,
                Err(why) => return Err(why),
            }
        }
    }

    fn bind(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            http: listen::bind(config.listen)?,
            ssh: ssh::bind(config.ssh_listen)?,
            commands: None,
        })
    }
}

/// How long to wait for whoever holds the addresses to be one that can be replaced: it may be taking over itself.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
