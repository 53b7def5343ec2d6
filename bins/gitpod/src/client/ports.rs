//! `gitpod ports`.

use super::connect::{connect, connect_access, failure};
use super::table::{Table, Tone};
use super::view::PortView;
use crate::cli::{Format, PortsArgs, SetPort};
use crate::exit::Failure;
use crate::local::{DescribeRequest, Port, SetPortRequest};
use crate::print;

/// Shows the ports of a workspace, after changing those that are to be changed.
pub(crate) async fn ports(args: PortsArgs) -> Result<(), Failure> {
    let cannot = |why: tonic::Status| failure("cannot change the port", &why);
    for SetPort { port, visibility } in &args.set {
        let request = SetPortRequest {
            workspace_id: args.id.clone(),
            port: u32::from(*port),
            visibility: visibility.to_string(),
        };
        let mut up = connect_access(&args.state).await?;
        up.set_port(request).await.map_err(cannot)?;
    }
    let request = DescribeRequest {
        workspace_id: args.id,
    };
    let answer = connect(&args.state)
        .await?
        .describe(request)
        .await
        .map_err(|why| failure("cannot show the ports", &why))?;
    let mut ports = answer.into_inner().workspace.unwrap_or_default().ports;
    for set in &args.set {
        show_as_set(&mut ports, *set);
    }
    match args.output.output {
        Format::Json => {
            let views: Vec<PortView> = ports.into_iter().map(PortView::from).collect();
            print::json(&views)
        }
        Format::Text => table(&ports).print("no ports: none is described, and no server listens"),
    }
}

/// A change is accepted before it is to be seen everywhere.
fn show_as_set(ports: &mut [Port], set: SetPort) {
    let changed = ports
        .iter_mut()
        .find(|port| port.port == u32::from(set.port));
    if let Some(port) = changed {
        port.visibility = set.visibility.to_string();
    }
}

fn table(ports: &[Port]) -> Table<5> {
    let mut table = Table::new(["PORT", "VISIBILITY", "SERVED", "NAME", "URL"]).with_last_whole();
    for port in ports {
        let tone = if port.visibility == "public" {
            Tone::Warn
        } else {
            Tone::None
        };
        let (served, listens) = if port.served {
            ("yes", Tone::Good)
        } else {
            ("no", Tone::None)
        };
        table.row([
            (port.port.to_string(), Tone::None),
            (port.visibility.clone(), tone),
            (served.to_owned(), listens),
            (port.name.clone(), Tone::None),
            (port.url.clone(), Tone::None),
        ]);
    }
    table
}
