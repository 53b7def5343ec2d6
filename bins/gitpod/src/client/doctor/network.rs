//! Addresses and names.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use gitpod_lifecycle::UrlTemplate;
use gitpod_lifecycle::process::{Layout, ProcessCluster, ProcessSettings};

use super::Finding;
use crate::cli::SshListen;

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn port_of_http(address: SocketAddr) -> Finding {
    port(
        "http port",
        address,
        "--listen 127.0.0.1:0 takes a free one",
    )
}

pub(super) fn port_of_ssh(listen: SshListen) -> Option<Finding> {
    match listen {
        SshListen::At(address) => Some(port(
            "ssh port",
            address,
            "--ssh-listen 127.0.0.1:0 takes a free one, --ssh-listen off does without",
        )),
        SshListen::Off => None,
    }
}

fn port(check: &'static str, address: SocketAddr, fix: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(why) => {
            let fix = format!("stop the program that holds it (ss -ltnp shows it), or: {fix}");
            Finding::problem(check, format!("{address}: {why}"), fix)
        }
    }
}

/// Whether programs that ask the system find workspaces. Browsers and curl do not ask
/// for names under `.localhost`.
pub(super) async fn names(domain: &str) -> Finding {
    let name = format!("3000-pink-panda-ns35kd21.{domain}");
    let asked = tokio::net::lookup_host((name.as_str(), 80));
    let found: Vec<_> = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        _ => Vec::new(),
    };
    let is_local = domain == "localhost" || domain.ends_with(".localhost");
    match (found.iter().find(|ip| ip.is_loopback()), found.first()) {
        (Some(ip), _) => Finding::ok("names", format!("*.{domain} is {ip}")),
        (None, Some(ip)) => Finding::note(
            "names",
            format!("*.{domain} is {ip}, which is another machine's or has to be ours"),
            "let the name lead to where `up` listens, or use --domain ws.localhost",
        ),
        (None, None) if is_local => Finding::note(
            "names",
            format!("the system does not know *.{domain}; browsers and curl do without it"),
            "for other programs: apt-get install libnss-myhostname",
        ),
        (None, None) => Finding::problem(
            "names",
            format!("*.{domain} is not known"),
            "make a DNS entry for it with a wildcard, or use --domain ws.localhost",
        ),
    }
}

/// Whether each workspace can have a network of its own.
pub(super) async fn own_networks() -> Finding {
    let dir = std::env::temp_dir().join(format!("gitpod-doctor-{}", uuid::Uuid::new_v4()));
    let Some(settings) = settings(Layout::new(&dir)) else {
        return Finding::ok("networks", "not checked");
    };
    let answer = ProcessCluster::new(settings).own_networks().await;
    let _ = std::fs::remove_dir_all(&dir);
    match answer {
        Ok(()) => Finding::ok("networks", "each workspace can have its own"),
        Err(why) => {
            let shared = "workspaces share this machine's, so two cannot listen on the same port";
            Finding::note("networks", format!("{shared}: {why}"), why.fix())
        }
    }
}

fn settings(layout: Layout) -> Option<ProcessSettings> {
    let url = |text: &str| text.parse::<UrlTemplate>().ok();
    let this = std::env::current_exe().ok()?;
    Some(ProcessSettings::new(
        layout,
        vec![this.into(), "supervisor".into()],
        url("http://{{ .Prefix }}.localhost/")?,
        url("http://{{ .WorkspacePort }}-{{ .Prefix }}.localhost/")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn port_in_use_is_a_problem_with_a_fix() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = port_of_http(holder.local_addr().unwrap());
        assert_eq!(finding.status, Status::Problem);
        assert!(finding.fix.unwrap().contains("--listen"));
    }
}
