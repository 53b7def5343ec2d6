//! The configuration.
//!
//! | key | |
//! |---|---|
//! | `listen.addr` | where hosts come to |
//! | `listen.tls.crt`, `.key` | its certificate; read again when the files change |
//! | `stateDir` | holds `ca.key`, `ca.crt`, `network.json`, `admin.sock` |
//! | `network.name`, `.cidr` | name and addresses of the network; part of the authority, so never changed |
//! | `network.authorityLifetime` | of a new authority: 1 year |
//! | `network.environmentLifetime`, `.hostLifetime` | of certificates: 1 day, 1 week |
//! | `network.tokenLifetime` | 15 minutes |
//! | `network.pollInterval` | how often hosts ask what has changed: 1 minute |
//! | `prometheus.addr`, `health.addr` | absent is off |

use std::path::PathBuf;
use std::time::Duration;

use gitpod_gateway::{Cidr, NetworkSettings};
use support::config::{Document, Parsed, Section};
use support::listen::Address;
use support::tls::Files;

/// Everything that is needed, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: Address,
    pub(crate) tls: Files,
    pub(crate) state_dir: PathBuf,
    pub(crate) network: NetworkSettings,
    pub(crate) authority_lifetime: Duration,
    pub(crate) metrics: Option<Address>,
    pub(crate) health: Option<Address>,
}

/// Makes a configuration of `document`, or says what is wrong.
pub(crate) fn check(document: &Document) -> Option<Config> {
    let root = document.root();
    let listen = root.section("listen");
    let address = listen.required("addr");
    let tls = listen.section("tls");
    let (certificate, key) = (
        tls.required::<PathBuf>("crt"),
        tls.required::<PathBuf>("key"),
    );
    let state_dir = root.required("stateDir");
    let section = root.section("network");
    let network = network(&section);
    let authority_lifetime = section.optional("authorityLifetime").unwrap_or(YEAR);
    let metrics = root.section("prometheus").optional("addr");
    let health = root.section("health").optional("addr");
    Some(Config {
        listen: address?,
        tls: Files::new(certificate?, key?),
        state_dir: state_dir?,
        network: network?,
        authority_lifetime,
        metrics,
        health,
    })
}

/// Hosts outlive no authority, so theirs must be long.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Shorter ones would be over before a host had started.
const SHORTEST: Duration = Duration::from_secs(10);

fn network(section: &Section<'_>) -> Option<NetworkSettings> {
    let name = section.required::<String>("name");
    let addresses = section.required::<Parsed<Cidr>>("cidr");
    let mut settings = NetworkSettings::new(name.unwrap_or_default(), addresses?.0);
    if settings.addresses.prefix() > 29 {
        section.problem(
            "cidr",
            "has room for fewer than six hosts",
            "a network such as \"10.128.0.0/16\"",
        );
    }
    for (key, duration) in [
        ("environmentLifetime", &mut settings.environment_lifetime),
        ("hostLifetime", &mut settings.host_lifetime),
        ("tokenLifetime", &mut settings.token_lifetime),
        ("pollInterval", &mut settings.poll),
    ] {
        let Some(configured) = section.optional::<Duration>(key) else {
            continue;
        };
        if configured < SHORTEST && key != "pollInterval" {
            section.problem(
                key,
                "is shorter than 10 seconds",
                "a duration such as \"24h\"",
            );
        }
        *duration = configured;
    }
    (!settings.name.is_empty()).then_some(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_what_to_write() {
        let text = r#"{"listen": {"addr": ":8443", "tls": {"crt": "/c"}}, "stateDir": "/s",
            "network": {"name": "n", "cidr": "10.128.0.0", "hostLifetime": "1s"}}"#;
        let document = Document::parse(text).unwrap();
        let config = check(&document);
        let told = document.finish(config).unwrap_err().to_string();
        assert!(told.contains("listen.tls.key: is missing"), "{told}");
        assert!(
            told.contains("network.cidr: \"10.128.0.0\": network lacks its size"),
            "{told}"
        );

        let good = text
            .replace("\"/c\"", "\"/c\", \"key\": \"/k\"")
            .replace(".0.0\"", ".0.0/16\"")
            .replace("\"1s\"", "\"48h\"");
        let document = Document::parse(&good).unwrap();
        let config = check(&document);
        let config = document.finish(config).unwrap().config;
        assert_eq!(config.network.host_lifetime, Duration::from_secs(48 * 3600));
    }
}
