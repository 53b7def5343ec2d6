//! The configuration: keys of the reference that mean something here, and `local`, which is ours.

use std::path::PathBuf;
use std::time::Duration;

use gitpod_lifecycle::grpc::{Policy, ResourceClass};
use gitpod_lifecycle::process::{IdeChoice, NetworkChoice};
use gitpod_lifecycle::{Timeouts, UrlTemplate};
use support::config::{Document, Parsed, Section};
use support::listen::Address;
use support::tls::Files;

/// Everything that is needed, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) rpc: Address,
    pub(crate) rpc_tls: Option<Files>,
    pub(crate) metrics: Option<Address>,
    pub(crate) health: Option<Address>,
    pub(crate) url_template: UrlTemplate,
    pub(crate) port_url_template: UrlTemplate,
    pub(crate) host_url: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) policy: Policy,
    pub(crate) local: Local,
}

/// How local processes are run.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) state_dir: PathBuf,
    pub(crate) ide: IdeChoice,
    pub(crate) network: NetworkChoice,
}

/// Makes a configuration of `document`, or says what is wrong.
pub(crate) fn check(document: &Document) -> Option<Config> {
    let root = document.root();
    let manager = root.section("manager");
    let rpc_server = root.section("rpcServer");
    let rpc = rpc_server.required::<Address>("addr");
    let rpc_tls = rpc_server.optional_section("tls");
    let rpc_tls = rpc_tls.and_then(|tls| Files::all_or_none(&tls));
    require_protection(&rpc_server, rpc.as_ref(), rpc_tls.as_ref());
    let url_template = template(&manager, "urlTemplate");
    let port_url_template = template(&manager, "portUrlTemplate");
    let heartbeat = manager.optional::<Duration>("heartbeatInterval");
    let (metrics, health) = (listen(&root, "prometheus"), listen(&root, "health"));
    let host_url = manager.optional::<String>("hostURL").unwrap_or_default();
    let timeouts = timeouts(&manager.section("timeouts"));
    let policy = policy(&manager);
    note_without_effect(&root, &manager);
    Some(Config {
        rpc: rpc?,
        rpc_tls,
        metrics,
        health,
        url_template: url_template?,
        port_url_template: port_url_template?,
        host_url,
        timeouts,
        heartbeat_interval: heartbeat.unwrap_or(Duration::from_secs(30)),
        policy,
        local: local(&root)?,
    })
}

/// Whoever reaches the service runs programs as this user.
fn require_protection(section: &Section<'_>, rpc: Option<&Address>, tls: Option<&Files>) {
    let Some(Address::Tcp { host, .. }) = rpc else {
        return;
    };
    let loopback = host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if tls.is_none() && !loopback {
        section.problem(
            "tls",
            "is missing, although other machines reach rpcServer.addr and could run anything here",
            "ca, crt and key, or a loopback address or unix socket as addr",
        );
    }
}

/// `{"addr": …}` below `key`; none, empty or `"0"` is off.
fn listen(root: &Section<'_>, key: &str) -> Option<Address> {
    let section = root.optional_section(key)?;
    match section.optional::<String>("addr").as_deref() {
        None | Some("0") => None,
        Some(_) => section.optional("addr"),
    }
}

fn template(manager: &Section<'_>, key: &str) -> Option<UrlTemplate> {
    Some(manager.required::<Parsed<UrlTemplate>>(key)?.0)
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let keys = [
        ("initialization", &mut timeouts.initialization),
        ("startup", &mut timeouts.startup),
        ("regularWorkspace", &mut timeouts.inactivity),
        ("maxLifetime", &mut timeouts.lifetime),
        ("headlessWorkspace", &mut timeouts.headless),
        ("afterClose", &mut timeouts.after_closed),
        ("contentFinalization", &mut timeouts.content_finalization),
        ("stopping", &mut timeouts.stopping),
    ];
    for (key, timeout) in keys {
        if let Some(configured) = section.optional(key) {
            *timeout = configured;
        }
    }
    if timeouts.stopping < timeouts.content_finalization {
        section.problem(
            "stopping",
            "is shorter than contentFinalization, which is a part of it",
            "at least as much as contentFinalization",
        );
    }
    section.without_effect("interrupted", "the reference does not use it either");
    timeouts
}

fn policy(manager: &Section<'_>) -> Policy {
    let mut policy = Policy::default();
    for (id, section) in manager.sections("workspaceClass") {
        let name = section
            .optional::<String>("name")
            .unwrap_or_else(|| id.clone());
        let mut class = ResourceClass::new(&id, name);
        class.description = section.optional("description").unwrap_or_default();
        class.credits_per_minute = section.optional("creditsPerMinute").unwrap_or_default();
        for key in ["container", "templates"] {
            section.without_effect(key, "local processes have no pods; limits come later");
        }
        policy.classes.push(class);
    }
    let has_default = policy
        .classes
        .iter()
        .any(|class| class.id == ResourceClass::DEFAULT);
    if !policy.classes.is_empty() && !has_default {
        let missing = format!(
            "has no class {}, which is the one for who asks for none",
            ResourceClass::DEFAULT
        );
        manager.problem(
            "workspaceClass",
            missing,
            format!("a class {}, or none at all", ResourceClass::DEFAULT),
        );
    }
    policy.preferred_class = manager
        .optional("preferredWorkspaceClass")
        .unwrap_or_default();
    policy
}

fn local(root: &Section<'_>) -> Option<Local> {
    let Some(local) = root.optional_section("local") else {
        root.problem(
            "local",
            "is missing: this version runs local processes only, not yet Kubernetes",
            r#"{"stateDir": "/var/lib/gitpod"}"#,
        );
        return None;
    };
    let state_dir = local.required::<PathBuf>("stateDir");
    let ide = match local.optional::<String>("ide").as_deref() {
        None | Some("none") => IdeChoice::None,
        Some("auto") => IdeChoice::Auto,
        Some(command) => {
            IdeChoice::Command(command.split_whitespace().map(str::to_owned).collect())
        }
    };
    let network = match local.optional::<String>("network").as_deref() {
        None | Some("auto") => NetworkChoice::Auto,
        Some("own") => NetworkChoice::Own,
        Some("shared") => NetworkChoice::Shared,
        Some(other) => {
            let wrong = format!("{other:?} is no choice");
            local.problem("network", wrong, "\"auto\", \"own\" or \"shared\"");
            return None;
        }
    };
    Some(Local {
        state_dir: state_dir?,
        ide,
        network,
    })
}

/// Keys of the reference that say something about Kubernetes, or that nobody reads.
fn note_without_effect(root: &Section<'_>, manager: &Section<'_>) {
    const KUBERNETES: &str = "it is about Kubernetes, which comes with a later version";
    const RELIC: &str = "the reference does not use it either";
    for key in [
        "namespace",
        "secretsNamespace",
        "schedulerName",
        "seccompProfile",
        "workspaceHostPath",
        "registryFacadeHost",
        "workspaceClusterHost",
        "workspaceMaxConcurrentReconciles",
        "timeoutMaxConcurrentReconciles",
        "enableCustomSSLCertificate",
        "podRecreationMaxRetries",
        "podRecreationBackoff",
        "sshGatewayCAPublicKeyFile",
        "SSHGatewayCAPublicKey",
    ] {
        manager.without_effect(key, KUBERNETES);
    }
    for key in [
        "initProbe",
        "eventTraceLog",
        "maintenanceMode",
        "debugWorkspacePod",
        "workspacekitImage",
        "reconnectionInterval",
        "wsdaemon",
    ] {
        manager.without_effect(key, RELIC);
    }
    root.without_effect(
        "content",
        "local workspaces keep their files where they are",
    );
    root.without_effect("imageBuilderProxy", "local processes have no images");
    root.without_effect("pprof", "profiles are not served");
    let rpc = root.section("rpcServer");
    rpc.without_effect("ratelimits", "limits on calls come with a later version");
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "manager": {"urlTemplate": "http://{{ .Prefix }}.ws.localhost", "portUrlTemplate": "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost",
            "timeouts": {"regularWorkspace": "5m", "interrupted": "5m"}, "namespace": "default",
            "workspaceClass": {"g1-standard": {"name": "Standard", "creditsPerMinute": 0.5, "templates": {}}}},
        "rpcServer": {"addr": "localhost:0"}, "prometheus": {"addr": "0"}, "local": {"stateDir": "/s"}, "typo": 1}"#;

    fn problems(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut value = serde_json::from_str(GOOD).unwrap();
        change(&mut value);
        let document = Document::of(value).unwrap();
        let config = check(&document);
        match document.finish(config) {
            Ok(_) => String::new(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn configuration_of_the_reference_is_read_and_what_does_nothing_is_told() {
        let document = Document::parse(GOOD).unwrap();
        let config = check(&document);
        let checked = document.finish(config).unwrap();
        assert_eq!(checked.config.timeouts.inactivity, Duration::from_secs(300));
        assert_eq!(checked.config.policy.classes[0].display_name, "Standard");
        assert_eq!(checked.config.metrics, None);
        assert_eq!(checked.unknown, ["typo"]);
        let keys: Vec<_> = checked
            .without_effect
            .iter()
            .map(|(key, _)| &**key)
            .collect();
        let expected = [
            "manager.timeouts.interrupted",
            "manager.workspaceClass.g1-standard.templates",
            "manager.namespace",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn mistakes_are_named_with_what_to_write() {
        let cases = [
            (
                "/rpcServer/addr",
                "0.0.0.0:8080",
                "rpcServer.tls: is missing",
            ),
            (
                "/rpcServer/addr",
                "nowhere",
                "rpcServer.addr: \"nowhere\": has no port",
            ),
            (
                "/manager/urlTemplate",
                "http://{{ .Nope }}",
                "manager.urlTemplate: ",
            ),
            (
                "/manager/timeouts/regularWorkspace",
                "soon",
                "manager.timeouts.regularWorkspace: ",
            ),
            (
                "/local/stateDir",
                "",
                "local.stateDir: is missing; write the path of a file or directory",
            ),
        ];
        for (pointer, value, expected) in cases {
            let told = problems(|config| *config.pointer_mut(pointer).unwrap() = value.into());
            assert!(told.starts_with(expected), "{pointer}: {told}");
        }
        let told = problems(|config| drop(config["local"].take()));
        assert!(
            told.starts_with("local: is missing: this version"),
            "{told}"
        );
        let told = problems(|config| config["manager"]["timeouts"]["stopping"] = "1m".into());
        assert!(
            told.starts_with("manager.timeouts.stopping: is shorter"),
            "{told}"
        );
        let tls = serde_json::json!({ "crt": "/c" });
        let told = problems(|config| config["rpcServer"]["tls"] = tls);
        assert!(
            told.starts_with("rpcServer.tls.ca: is missing beside"),
            "{told}"
        );
    }
}
