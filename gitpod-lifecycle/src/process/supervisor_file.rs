//! What a supervisor is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::limits::ProcessLimits;
use super::network::Network;
use super::settings::{IdeChoice, ProcessSettings};
use crate::content::ContentError;
use crate::spec::{ContentSource, Spec};

/// `supervisor.json`. It never holds a credential that opens the workspace.
#[derive(Debug, Serialize)]
pub(crate) struct SupervisorFile {
    workspace_id: String,
    instance_id: String,
    pub(crate) content_dir: PathBuf,
    pub(crate) logs_dir: PathBuf,
    pub(crate) state_dir: PathBuf,
    socket: PathBuf,
    repository_url: Option<String>,
    workspace_url: String,
    port_url_template: String,
    content_source: &'static str,
    ide: Ide,
    pub(crate) env: BTreeMap<String, String>,
    limits: ProcessLimits,
    /// Left out where it is shared, as supervisors need not know of any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh: Option<Ssh>,
}

/// The SSH server of a workspace. The key of `user_ca` is a public one.
#[derive(Debug, Serialize)]
struct Ssh {
    socket: PathBuf,
    host_key_file: PathBuf,
    user_ca: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Ide {
    None(()),
    Auto(&'static str),
    Command(Vec<String>),
}

impl SupervisorFile {
    /// What the supervisor of `spec` is told. `limits` are those that it has to
    /// set itself.
    pub(crate) fn of(
        spec: &Spec,
        settings: &ProcessSettings,
        limits: ProcessLimits,
    ) -> Result<Self, ContentError> {
        let layout = &settings.layout;
        let (instance, workspace) = (spec.instance.as_str(), spec.workspace.as_str());
        let ports = &settings.port_url_template;
        Ok(Self {
            workspace_id: workspace.to_owned(),
            instance_id: instance.to_owned(),
            content_dir: layout.content(&spec.workspace)?,
            logs_dir: layout.logs(&spec.workspace, &spec.instance)?,
            state_dir: layout.workspace(&spec.workspace)?.join("state"),
            socket: layout.socket(&spec.instance),
            repository_url: repository(spec),
            workspace_url: settings.url_template.of_workspace(instance, workspace, ""),
            port_url_template: port_template(ports, instance, workspace),
            content_source: "from-other",
            ide: match &settings.ide {
                IdeChoice::None => Ide::None(()),
                IdeChoice::Auto => Ide::Auto("auto"),
                IdeChoice::Command(words) => Ide::Command(words.clone()),
            },
            env: BTreeMap::new(),
            limits,
            network: None,
            ssh: settings.ssh_user_ca.clone().map(|user_ca| Ssh {
                socket: layout.ssh_socket(&spec.instance),
                host_key_file: layout.ssh_host_key(&spec.instance),
                user_ca,
            }),
        })
    }

    pub(crate) fn with_env(mut self, env: BTreeMap<String, String>) -> Self {
        self.env = env;
        self
    }

    pub(crate) fn with_network(mut self, network: Network) -> Self {
        self.network = (network == Network::Own).then_some(network);
        self
    }

    pub(crate) fn instance_dir(&self) -> &Path {
        self.socket.parent().unwrap_or(&self.socket)
    }

    pub(crate) fn workspace_url(&self) -> &str {
        &self.workspace_url
    }
}

fn repository(spec: &Spec) -> Option<String> {
    match &spec.content {
        ContentSource::Git(source) => Some(source.remote_for_people()),
        ContentSource::Empty | ContentSource::Initializer(_) => None,
    }
}

/// The template with everything filled in but the port, which becomes `{port}`.
fn port_template(ports: &crate::url::UrlTemplate, instance: &str, workspace: &str) -> String {
    // Stands for the port: a number that the URL does not contain otherwise.
    let url = |port| ports.of_port(instance, workspace, "", port);
    let stand_in = (10_000..=u16::MAX)
        .rev()
        .find(|port| !url(1).contains(&port.to_string()));
    stand_in.map_or_else(String::new, |port| {
        url(port).replace(&port.to_string(), "{port}")
    })
}
