//! SSH in: `ssh ID@localhost -p 2200`.
//!
//! ```text
//! client ─► gateway ── KeyedProvider: which workspace, whose keys ─► LocalUpstream ─► ssh.sock of the run
//! ```

mod authorized;
mod config;
mod gateway;
mod keys;
mod provider;
mod service;
mod upstream;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gitpod_lifecycle::process::{Layout, ProcessSettings};
use gitpod_routing::{ActivitySink, MemoryProvider};
use gitpod_sshgw::{Gateway, Parting};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use self::authorized::AuthorizedKeys;
use self::keys::Keys;
pub(crate) use self::service::SshService;
use crate::cli::SshListen;
use crate::exit::Failure;
use crate::ssh::{Endpoint, SshDir};
use crate::workspaces::Workspaces;

/// SSH of one `up`: its keys, and where it listens.
#[derive(Debug)]
pub(super) struct Ssh {
    dir: SshDir,
    keys: Keys,
    /// Absent if SSH is switched off.
    listening: Option<(TcpListener, SocketAddr)>,
}

impl Ssh {
    /// Finds out whether the keys in `state_dir` can be used, and makes nothing.
    pub(super) fn check(state_dir: &Path) -> Result<(), Failure> {
        Keys::check(&SshDir::of(state_dir))
    }

    /// With the keys in `state_dir`, which must be held, at `listener`.
    pub(super) fn open(state_dir: &Path, listener: Option<TcpListener>) -> Result<Self, Failure> {
        let dir = SshDir::of(state_dir);
        let keys = Keys::open(&dir)?;
        let address = listener.as_ref().map(TcpListener::local_addr).transpose();
        let address =
            address.map_err(|why| Failure::failed("cannot tell the address").because(&why))?;
        Ok(Self {
            dir,
            keys,
            listening: listener.zip(address),
        })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listening.as_ref().map(|(_, address)| *address)
    }

    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.address().map(Endpoint::new)
    }

    /// Lets the gateway into workspaces that are run with `settings`.
    pub(super) fn let_in(&self, settings: ProcessSettings) -> ProcessSettings {
        match self.listening {
            Some(_) => settings.with_ssh_user_ca(self.keys.user_ca.public_key().to_string()),
            None => settings,
        }
    }

    /// What lets clients into `workspaces`, whose files are in `layout`.
    pub(super) fn gateway(
        &self,
        workspaces: MemoryProvider,
        layout: Layout,
        activity: Arc<dyn ActivitySink>,
        drain: Duration,
    ) -> Gateway {
        gateway::gateway(&self.keys, workspaces, layout, activity, drain)
    }

    /// Lets clients in until `no_more`; tells those that are there what `end` says.
    pub(super) async fn serve(
        self,
        gateway: Gateway,
        no_more: CancellationToken,
        end: impl Future<Output = Parting>,
    ) {
        if let Some((listener, _)) = self.listening {
            let no_more = no_more.cancelled_owned();
            gateway.serve_until(listener, no_more, end).await;
        }
    }

    /// Whose keys log in.
    pub(super) fn authorized(&self) -> AuthorizedKeys {
        self.keys.authorized.clone()
    }

    /// Where it listens.
    pub(super) fn listener(&self) -> Option<&TcpListener> {
        self.listening.as_ref().map(|(listener, _)| listener)
    }

    /// What answers commands about it.
    pub(super) fn service(&self) -> SshService {
        SshService {
            keys: self.keys.authorized.clone(),
            endpoint: self.endpoint(),
        }
    }

    /// Keeps what OpenSSH's configuration includes. Must be called within a runtime.
    pub(super) fn keep_config(&self, workspaces: Workspaces, state_dir: &Path) {
        let state_dir = state_dir.to_owned();
        tokio::spawn(config::keep(workspaces, self.dir.clone(), state_dir));
    }
}

/// Takes the address, or says how to get one.
pub(super) fn bind(listen: SshListen) -> Result<Option<TcpListener>, Failure> {
    let SshListen::At(address) = listen else {
        return Ok(None);
    };
    let listener = support::listen::listen(address).map_err(|why| {
        Failure::failed(format!("cannot listen for SSH on {address}"))
            .because(&why)
            .fix("stop the program that holds it, or choose another address with --ssh-listen; port 0 takes a free one, `off` does without SSH")
    })?;
    Ok(Some(listener))
}
