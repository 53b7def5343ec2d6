//! Ports: as the wire says them → as the row keeps them.

use gitpod_lifecycle::{UpdatePort, UpdateProtocol, UpdateVisibility};

use crate::record::{ExposedPort, PortProtocol, PortVisibility};

pub(crate) fn exposed_port(port: &UpdatePort) -> ExposedPort {
    ExposedPort {
        port: port.port,
        visibility: match port.visibility {
            UpdateVisibility::Private => Some(PortVisibility::Private),
            UpdateVisibility::Public => Some(PortVisibility::Public),
            _ => None,
        },
        protocol: match port.protocol {
            UpdateProtocol::Https => PortProtocol::Https,
            _ => PortProtocol::Http,
        },
        url: port.url.clone(),
    }
}
