//! Which ports of a running workspace are listened on.

use std::collections::BTreeSet;
use std::path::Path;

use gitpod_lifecycle::Settings;
use serde::Deserialize;

use super::tasks::ask;
use crate::local;

/// Says of each port of `workspace` whether somebody listens, as the supervisor on
/// `socket` tells, and adds those that only run: they are private.
pub(super) async fn add_served(
    workspace: &mut local::Workspace,
    socket: &Path,
    settings: &Settings,
) {
    let told: Option<Told> = ask(socket, "/_supervisor/v1/status/ports").await;
    let told = told.map(|told| told.ports).unwrap_or_default();
    for port in told.into_iter().filter(|port| port.served) {
        let number = u32::from(port.local_port);
        if let Some(known) = workspace.ports.iter_mut().find(|it| it.port == number) {
            known.served = true;
            continue;
        }
        let (instance, id) = (&workspace.instance_id, &workspace.id);
        let url =
            settings
                .port_url_template
                .of_port(instance, id, &settings.host_url, port.local_port);
        workspace.ports.push(local::Port {
            port: number,
            visibility: "private".to_owned(),
            protocol: "http".to_owned(),
            url,
            name: port.name,
            description: port.description,
            served: true,
        });
    }
    workspace.ports.sort_by_key(|port| port.port);
}

/// What a supervisor says of ports.
#[derive(Deserialize)]
pub(super) struct Told {
    ports: Vec<Port>,
}

impl Told {
    /// Those that somebody listens on.
    pub(super) fn served(&self) -> BTreeSet<u16> {
        let served = self.ports.iter().filter(|port| port.served);
        served.map(|port| port.local_port).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    local_port: u16,
    served: bool,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
}
