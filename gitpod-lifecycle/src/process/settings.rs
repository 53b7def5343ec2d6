//! How local workspaces are run.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::network::NetworkChoice;
use crate::url::UrlTemplate;

/// How local workspaces are run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessSettings {
    /// Where they keep what.
    pub layout: Layout,
    /// The supervisor's command; `--config FILE` is added to it.
    pub supervisor: Vec<OsString>,
    /// Where a workspace is reached.
    pub url_template: UrlTemplate,
    /// Where a port of it is reached.
    pub port_url_template: UrlTemplate,
    /// Which IDE the supervisor runs.
    pub ide: IdeChoice,
    /// How much a workspace may use.
    pub limits: Limits,
    /// Which network a workspace is in. Anything but the machine's needs a supervisor that
    /// makes one, and knows `--probe-network`.
    pub network: NetworkChoice,
    /// How long a workspace has to end where nobody says otherwise: 30 seconds.
    pub grace: Duration,
    /// Whose user certificates open a shell in a workspace; `None`: there is no SSH server.
    pub ssh_user_ca: Option<String>,
    /// Names of variables that workspaces inherit from this process, beside those
    /// that every program needs.
    pub inherit: Vec<OsString>,
}

impl ProcessSettings {
    /// Workspaces below `layout` under `supervisor`, without IDE or limits, on the
    /// machine's network.
    #[must_use]
    pub fn new(
        layout: Layout,
        supervisor: Vec<OsString>,
        url_template: UrlTemplate,
        port_url_template: UrlTemplate,
    ) -> Self {
        Self {
            layout,
            supervisor,
            url_template,
            port_url_template,
            ide: IdeChoice::None,
            limits: Limits::default(),
            network: NetworkChoice::default(),
            grace: Duration::from_secs(30),
            ssh_user_ca: None,
            inherit: Vec::new(),
        }
    }

    /// With `ide`.
    #[must_use]
    pub fn with_ide(mut self, ide: IdeChoice) -> Self {
        self.ide = ide;
        self
    }

    /// Within `limits`.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// In such a `network`.
    #[must_use]
    pub fn with_network(mut self, network: NetworkChoice) -> Self {
        self.network = network;
        self
    }

    /// With an SSH server in each workspace that is started from now on, at
    /// [`Layout::ssh_socket`]. It lets in who has a user certificate of this authority, a line
    /// `ssh-ed25519 AAAA…` as in an `authorized_keys` file, for the principal `gitpod`.
    #[must_use]
    pub fn with_ssh_user_ca(mut self, line: impl Into<String>) -> Self {
        self.ssh_user_ca = Some(line.into());
        self
    }

    /// Inheriting variable `name` as well.
    #[must_use]
    pub fn inheriting(mut self, name: impl Into<OsString>) -> Self {
        self.inherit.push(name.into());
        self
    }
}

/// Which IDE a supervisor runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdeChoice {
    /// None: the workspace shows its own page.
    #[default]
    None,
    /// The first one that is installed.
    Auto,
    /// This command; `{port}` stands for the port that it is to listen on.
    Command(Vec<String>),
}

/// How much one workspace may use. What is absent is not limited.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of memory, for all of its processes together. Only where control
    /// groups can do it; else for each process, as address space.
    pub memory_bytes: Option<u64>,
    /// Processes and threads. Only where control groups can do it: the system's
    /// other limit counts all processes of the user.
    pub processes: Option<u64>,
    /// Open files of each process.
    pub open_files: Option<u64>,
}
