//! Where everything comes in.

use tokio::net::{TcpListener, UnixListener};

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
    /// Takes the addresses: over from the `up` that runs, if it is to be replaced.
    pub(super) async fn open(
        config: &Config,
        secret: &Secret,
    ) -> Result<(Self, Option<Predecessor>), Failure> {
        if config.replace
            && let Some((doors, before)) = replace::take(config, secret).await?
        {
            return Ok((doors, Some(before)));
        }
        let doors = Self {
            http: listen::bind(config.listen)?,
            ssh: ssh::bind(config.ssh_listen)?,
            commands: None,
        };
        Ok((doors, None))
    }
}
