//! The configuration.
//!
//! | key | |
//! |---|---|
//! | `server.addr` | where the `gateway-server` listens for hosts |
//! | `server.name` | the name in its certificate; that of `addr` if absent |
//! | `server.ca` | whom to trust: PEM |
//! | `stateDir` | holds keys and certificate, and what nebula reads |
//! | `tokenFile` | holds the token; needed until the host has joined |
//! | `nebula.program` | `nebula` if absent |
//! | `nebula.port` | UDP port; 0, a free one, if absent. Lighthouses need a fixed one |
//! | `nebula.device` | name of the network device; `nebula1` if absent |
//! | `prometheus.addr`, `health.addr` | absent is off |

use std::path::PathBuf;

use gitpod_gateway::NodeOptions;
use support::config::Document;
use support::listen::Address;

/// Everything that is needed, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: Address,
    pub(crate) server_name: String,
    pub(crate) authority: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) program: PathBuf,
    pub(crate) options: NodeOptions,
    pub(crate) metrics: Option<Address>,
    pub(crate) health: Option<Address>,
}

/// Makes a configuration of `document`, or says what is wrong.
pub(crate) fn check(document: &Document) -> Option<Config> {
    let root = document.root();
    let server = root.section("server");
    let address = server.required::<Address>("addr");
    let name = server.optional::<String>("name");
    let authority = server.required("ca");
    let state_dir = root.required("stateDir");
    let nebula = root.section("nebula");
    let port = nebula.optional::<u16>("port").unwrap_or_default();
    let mut options = NodeOptions::new(port);
    if let Some(device) = nebula.optional::<String>("device") {
        if device.len() > MAX_DEVICE || device.contains(['/', ' ']) {
            let wrong = format!("{device:?} is no name of a network device");
            nebula.problem("device", wrong, "up to 15 letters and digits");
        }
        options = options.with_device(device);
    }
    let program = nebula.optional("program");
    let token_file = root.optional("tokenFile");
    let metrics = root.section("prometheus").optional("addr");
    let health = root.section("health").optional("addr");
    let address = address?;
    let name = name.or_else(|| match &address {
        Address::Tcp { host, .. } => Some(host.clone()),
        _ => None,
    });
    if name.as_ref().is_none_or(String::is_empty) {
        server.problem(
            "addr",
            "names no host",
            "host:port, as hosts reach the server",
        );
    }
    Some(Config {
        server: address,
        server_name: name?,
        authority: authority?,
        state_dir: state_dir?,
        token_file,
        program: program.unwrap_or_else(|| "nebula".into()),
        options,
        metrics,
        health,
    })
}

/// What Linux takes: IFNAMSIZ without its end.
const MAX_DEVICE: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_what_to_write() {
        let text = r#"{"server": {"addr": "gateway.example.com:8443", "ca": "/ca"}, "stateDir": "/s", "nebula": {"device": "a/b"}}"#;
        let document = Document::parse(text).unwrap();
        let config = check(&document);
        let told = document.finish(config).unwrap_err().to_string();
        assert!(
            told.starts_with("nebula.device: \"a/b\" is no name"),
            "{told}"
        );
        let document = Document::parse(&text.replace("a/b", "neb0")).unwrap();
        let config = check(&document);
        let config = document.finish(config).unwrap().config;
        assert_eq!(config.server_name, "gateway.example.com");
        assert_eq!(config.options.device, "neb0");
    }
}
