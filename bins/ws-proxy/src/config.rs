//! The configuration: the JSON file of the reference, and `local`, which is ours.
//!
//! | key | |
//! |---|---|
//! | `ingress.httpAddress`, `ingress.httpsAddress` | listeners; the first one redirects to the second |
//! | `ingress.header` | where the host is read from, if a load balancer in front sets it; `Host` if nothing is in front |
//! | `proxy.https.crt`, `.key` | TLS files; read again when they change |
//! | `proxy.transportConfig.*` | limits of connections to workspaces |
//! | `proxy.gitpodInstallation.*` | scheme and host of the installation, hostnames of workspaces |
//! | `prometheusAddr`, `readinessProbeAddr` | `/metrics`; `/healthz` and `/readyz`. Empty is off |
//! | `wsManager.addr`, `.tls.{ca,crt,key}` | the manager, with all three files or in the clear |
//! | `local.stateDir` | state directory of the manager, whose local processes are reached through it |
//! | `local.limits` | what clients may take: an object of [`Limits`] |
//! | `local.drain` | how long requests and WebSockets may go on at the end |
//! | `local.http` | `"redirect"`, or `"serve"` workspaces on `ingress.httpAddress` in the clear |

use std::path::PathBuf;
use std::time::Duration;

use gitpod_routing::{HostPattern, Scheme, SiblingPattern};
use http::HeaderName;
use support::config::{Document, Parsed, Section};
use support::limits::Limits;
use support::listen::Address;
use support::tls::Files;

/// Everything that is needed, checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Listener in the clear.
    pub http: Address,
    /// Listener over TLS.
    pub https: Address,
    /// Header that the host is read from.
    pub host_header: HeaderName,
    /// Certificate of the TLS listener.
    pub certificate: Option<Files>,
    /// Limits of connections to workspaces.
    pub transport: Transport,
    /// Names of the installation and its workspaces.
    pub installation: Installation,
    /// Where `/metrics` is.
    pub metrics: Option<Address>,
    /// Where `/healthz` and `/readyz` are.
    pub readiness: Option<Address>,
    /// The manager that knows the workspaces.
    pub manager: Option<ManagerAddress>,
    /// Where workspaces are.
    pub workspaces: Workspaces,
    /// What clients may take.
    pub limits: Limits,
    /// How long requests and WebSockets may go on at the end.
    pub drain: Duration,
}

/// Limits of connections to workspaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transport {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one is kept that nobody uses.
    pub idle_timeout: Duration,
    /// How many of them are kept for each server.
    pub max_idle: usize,
}

/// Names of the installation and its workspaces.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Installation {
    /// As browsers see it.
    pub scheme: Scheme,
    /// Its host, with its port if that is not the usual one: part of cookie names.
    pub host: String,
    /// Port that browsers come to.
    pub port: u16,
    /// Hostnames of workspaces.
    pub hosts: HostPattern,
}

/// The manager that knows the workspaces.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagerAddress {
    /// Where it is.
    pub address: Address,
    /// How to prove who we are; in the clear without.
    pub tls: Option<Files>,
}

/// Where workspaces are.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Workspaces {
    /// Processes on this machine, of this user.
    Local {
        /// State directory of their manager.
        state_dir: PathBuf,
        /// What is done in the clear.
        plain: Plain,
    },
    /// Pods. Not in this version.
    Kubernetes,
}

/// What is done with requests in the clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Plain {
    /// They are sent to the TLS listener.
    Redirected,
    /// They are served.
    Served,
}

/// Makes a configuration of `document`, or says what is wrong.
pub fn check(document: &Document) -> Option<Config> {
    let root = document.root();
    let ingress = root.section("ingress");
    let http = ingress.required("httpAddress");
    let https = ingress.required("httpsAddress");
    let header = ingress.required::<Parsed<HeaderName>>("header");
    let proxy = root.section("proxy");
    let certificate = certificate(&proxy.section("https"));
    let transport = transport(&proxy.section("transportConfig"));
    let installation = installation(&proxy.section("gitpodInstallation"));
    require_what_does_nothing_yet(&proxy);
    let manager = root.optional_section("wsManager");
    let manager = manager.and_then(|section| {
        let tls = section.optional_section("tls");
        let tls = tls.and_then(|tls| Files::all_or_none(&tls));
        let address = section.required("addr");
        Some(ManagerAddress {
            address: address?,
            tls,
        })
    });
    let (metrics, readiness) = (
        root.optional("prometheusAddr"),
        root.optional("readinessProbeAddr"),
    );
    root.without_effect("namespace", "Kubernetes comes with a later version");
    root.without_effect("pprofAddr", "profiles are not served");
    let local = root.optional_section("local");
    let limits = local.as_ref().and_then(|local| local.optional("limits"));
    let drain = local.as_ref().and_then(|local| local.optional("drain"));
    let workspaces = workspaces(&root);
    Some(Config {
        http: http?,
        https: https?,
        host_header: header?.0,
        certificate,
        transport: transport?,
        installation: installation?,
        metrics,
        readiness,
        manager,
        workspaces: workspaces?,
        limits: limits.unwrap_or_default(),
        drain: drain.unwrap_or(DRAIN),
    })
}

/// **Source:** the reference, whose deployments grant one minute more.
const DRAIN: Duration = Duration::from_secs(300);

fn certificate(section: &Section<'_>) -> Option<Files> {
    let (certificate, key) = (
        section.optional::<PathBuf>("crt"),
        section.optional::<PathBuf>("key"),
    );
    for (there, missing, name) in [(&certificate, &key, "key"), (&key, &certificate, "crt")] {
        if there.is_some() && missing.is_none() {
            section.problem(
                name,
                "is missing beside the other one",
                "both crt and key, or none",
            );
        }
    }
    Some(Files::new(certificate?, key?))
}

fn transport(section: &Section<'_>) -> Option<Transport> {
    let connect_timeout = section.required("connectTimeout");
    let idle_timeout = section.required("idleConnTimeout");
    let max_idle = section.required("maxIdleConnsPerHost");
    if section.optional::<usize>("maxIdleConns").is_some() {
        section.without_effect(
            "maxIdleConns",
            "connections are limited for each server, not in all",
        );
    }
    Some(Transport {
        connect_timeout: connect_timeout?,
        idle_timeout: idle_timeout?,
        max_idle: max_idle?,
    })
}

fn installation(section: &Section<'_>) -> Option<Installation> {
    let scheme = section.required::<String>("scheme");
    let scheme = scheme.and_then(|scheme| match &*scheme {
        "https" => Some((Scheme::Https, 443)),
        "http" => Some((Scheme::Http, 80)),
        other => {
            section.problem(
                "scheme",
                format!("{other:?} is none of ours"),
                "\"https\" or \"http\"",
            );
            None
        }
    });
    let host = section.required::<String>("hostName");
    let hosts = hosts(section);
    let (scheme, usual_port) = scheme?;
    let host = host?;
    let port = match host.rsplit_once(':').map(|(_, port)| port.parse::<u16>()) {
        None => usual_port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            section.problem(
                "hostName",
                format!("{host:?} has a port that is none"),
                "a host, or host:port",
            );
            return None;
        }
    };
    let hosts = hosts?;
    Some(Installation {
        scheme,
        host,
        port,
        hosts,
    })
}

/// The suffix is a name and not, as in the reference, an expression; of expressions for siblings those are
/// taken that stand for one label with a beginning and an end.
fn hosts(section: &Section<'_>) -> Option<HostPattern> {
    let suffix = section.required::<String>("workspaceHostSuffix");
    let siblings = section
        .optional::<String>("workspaceHostSuffixRegex")
        .unwrap_or_default();
    let suffix = suffix?;
    let domain = suffix.strip_prefix('.').unwrap_or(&suffix);
    let Ok(hosts) = HostPattern::new(domain) else {
        section.problem(
            "workspaceHostSuffix",
            format!("{suffix:?} is no domain"),
            "one such as \".ws.example.com\"",
        );
        return None;
    };
    let plain = siblings.replace(r"[^\.]*", "*").replace(r"\.", ".");
    let plain = plain.strip_prefix('.').unwrap_or(&plain);
    if plain.is_empty() || plain == domain {
        return Some(hosts);
    }
    match SiblingPattern::new(plain) {
        Ok(siblings) => Some(hosts.with_siblings(siblings)),
        Err(_) => {
            let wrong = format!("{siblings:?} is no expression that is understood");
            section.problem(
                "workspaceHostSuffixRegex",
                wrong,
                r#"one such as "\\.ws[^\\.]*\\.example\\.com""#,
            );
            None
        }
    }
}

/// Checked as the reference does, so that a file that is good here is good there.
fn require_what_does_nothing_yet(proxy: &Section<'_>) {
    const EDITORS: &str =
        "workspaces serve their own editors; files of editors come with a later version";
    let blobs = proxy.section("blobServer");
    let scheme = blobs.required::<String>("scheme");
    if scheme.is_some_and(|scheme| scheme != "http" && scheme != "https") {
        blobs.problem("scheme", "is none of ours", "\"https\" or \"http\"");
    }
    let _ = (
        blobs.required::<String>("host"),
        blobs.optional::<String>("pathPrefix"),
    );
    proxy.without_effect("blobServer", EDITORS);
    let pod = proxy.section("workspacePodConfig");
    for key in [
        "theiaPort",
        "ideDebugPort",
        "supervisorPort",
        "supervisorDebugPort",
        "debugWorkspaceProxyPort",
    ] {
        let _ = pod.required::<u16>(key);
    }
    pod.without_effect("supervisorImage", "the reference wants nobody to use it");
    proxy.without_effect("workspacePodConfig", "local workspaces have no fixed ports");
    let pages = proxy.section("builtinPages");
    let _ = pages.optional::<PathBuf>("location");
    proxy.without_effect("builtinPages", "pages are part of this program");
    proxy.without_effect(
        "sshCAKeyFile",
        "SSH comes with a later version; `gitpod up` has it",
    );
}

fn workspaces(root: &Section<'_>) -> Option<Workspaces> {
    let Some(local) = root.optional_section("local") else {
        return Some(Workspaces::Kubernetes);
    };
    let state_dir = local.required("stateDir");
    let plain = match local.optional::<String>("http").as_deref() {
        None | Some("redirect") => Some(Plain::Redirected),
        Some("serve") => Some(Plain::Served),
        Some(other) => {
            local.problem(
                "http",
                format!("{other:?} is no choice"),
                "\"redirect\" or \"serve\"",
            );
            None
        }
    };
    Some(Workspaces::Local {
        state_dir: state_dir?,
        plain: plain?,
    })
}
