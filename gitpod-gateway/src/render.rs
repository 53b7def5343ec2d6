//! From a bundle to what `nebula` reads.

use serde_json::{Map, Value, json};

use crate::host::HostKind;
use crate::key::HostKey;
use crate::message::ConfigBundle;

/// What only the host itself knows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NodeOptions {
    /// UDP port: 0 takes a free one, which is right for all but lighthouses.
    pub port: u16,
    /// Name of the network device.
    pub device: String,
}

impl NodeOptions {
    /// Port `port`, device `nebula1`.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            port,
            device: "nebula1".to_owned(),
        }
    }

    /// With another name for the device.
    #[must_use]
    pub fn with_device(mut self, device: impl Into<String>) -> Self {
        self.device = device.into();
        self
    }
}

/// The configuration of `nebula` for the host of `bundle`: JSON, which is YAML as well.
///
/// Every key in it is ours: nothing that a server sends can add another one. Key and
/// certificate are in one file, so that both change at once. It holds the private key.
///
/// Environments take connections from proxies only, and make none: what happens in one
/// cannot reach another one. Lighthouses have no device at all.
#[must_use]
pub fn render(
    bundle: &ConfigBundle,
    certificate: &str,
    key: &HostKey,
    options: &NodeOptions,
) -> Value {
    let is_lighthouse = bundle.kind == HostKind::Lighthouse;
    let others: Vec<_> = match is_lighthouse {
        true => Vec::new(),
        false => bundle.lighthouses.iter().collect(),
    };
    let known: Map<_, _> = others
        .iter()
        .map(|it| (it.address.to_string(), json!(it.endpoints)))
        .collect();
    let hosts: Vec<_> = others.iter().map(|it| it.address.to_string()).collect();
    let (inbound, outbound) = firewall(bundle.kind);
    json!({
        "pki": {
            "ca": bundle.authorities,
            "cert": certificate,
            "key": *key.to_pem(),
            "blocklist": bundle.blocklist,
            // Else peers go on although they are blocked, or their time is over.
            "disconnect_invalid": true,
        },
        "static_host_map": known,
        // Short, so that a lighthouse that was restarted soon knows everybody.
        "lighthouse": {"am_lighthouse": is_lighthouse, "interval": 10, "hosts": hosts},
        "listen": {"host": "0.0.0.0", "port": options.port, "read_buffer": BUFFER, "write_buffer": BUFFER},
        "punchy": {"punch": true, "respond": true},
        "relay": {"am_relay": is_lighthouse, "use_relays": true, "relays": hosts},
        "tun": {"disabled": is_lighthouse, "dev": options.device, "mtu": 1300},
        "logging": {"level": "info", "format": "json"},
        "firewall": {"inbound": inbound, "outbound": outbound},
    })
}

/// Bytes; a third more throughput than with the system's own.
const BUFFER: u32 = 10 << 20;

/// Rules go by group only: `nebula` takes `host: any` beside a group for everybody.
fn firewall(kind: HostKind) -> (Value, Value) {
    let rule = |protocol, group| json!({"port": "any", "proto": protocol, "group": group});
    match kind {
        HostKind::Lighthouse => (json!([]), json!([])), // without device there is nothing to let through
        HostKind::Proxy => {
            let to = [
                ("tcp", "environment"),
                ("icmp", "environment"),
                ("tcp", "runner"),
                ("icmp", "runner"),
            ];
            (
                json!([]),
                to.map(|(protocol, group)| rule(protocol, group)).into(),
            )
        }
        HostKind::Runner | HostKind::Environment => (
            json!([rule("tcp", "proxy"), rule("icmp", "proxy")]),
            json!([]),
        ),
    }
}
