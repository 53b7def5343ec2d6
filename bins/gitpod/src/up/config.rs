//! `gitpod up`: from what was typed to what can be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gitpod_routing::HostPattern;
use support::limits::{Limits, Setting};

use crate::cli::{Checkout, Format, Network, SshListen, UpArgs};
use crate::exit::{Failure, Kind};
use crate::{repository, state_dir};

/// Everything `up` needs to know, checked before anything is started.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) first: Option<First>,
    pub(crate) listen: SocketAddr,
    pub(crate) ssh_listen: SshListen,
    pub(crate) domain: String,
    pub(crate) hosts: HostPattern,
    pub(crate) timeout: Duration,
    /// How long requests to stopped workspaces are held.
    pub(crate) hold_for: Duration,
    /// How many are held for one workspace.
    pub(crate) hold_requests: usize,
    pub(crate) ide: Ide,
    pub(crate) network: Network,
    pub(crate) limits: Limits,
    /// Whether to take over from the one that runs.
    pub(crate) replace: bool,
    /// How long either side of that waits for the other.
    pub(crate) replace_within: Duration,
    /// How long connections may go on at the end.
    pub(crate) drain: Duration,
    pub(crate) state_dir: PathBuf,
    pub(crate) output: Format,
}

/// The workspace that is made at the start.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) location: String,
    pub(crate) checkout: Checkout,
}

/// What a workspace is opened with.
#[derive(Clone, Debug)]
pub(crate) enum Ide {
    Auto,
    None,
    Command(Vec<String>),
}

impl TryFrom<UpArgs> for Config {
    type Error = Failure;

    fn try_from(args: UpArgs) -> Result<Self, Failure> {
        let hosts = hosts(&args.domain)?;
        if !args.listen.ip().is_loopback() {
            crate::print::note(&format!(
                "warning: {} can be reached from other machines, and traffic to it is not encrypted",
                args.listen
            ));
        }
        let first = args
            .repo
            .as_deref()
            .map(|text| {
                Ok(First {
                    location: repository::location(text, args.checkout.branch.as_deref())?,
                    checkout: args.checkout.clone(),
                })
            })
            .transpose()?;
        Ok(Self {
            first,
            listen: args.listen,
            ssh_listen: args.ssh_listen,
            domain: args.domain.to_ascii_lowercase(),
            hosts,
            timeout: args.timeout,
            hold_for: args.hold_for,
            hold_requests: usize::try_from(args.hold_requests).unwrap_or(usize::MAX),
            ide: ide(&args.ide)?,
            network: args.network,
            limits: limits(&args.limits),
            replace: args.replace,
            replace_within: args.replace_within,
            drain: args.drain,
            state_dir: state_dir::locate(args.state.state_dir.as_deref())?,
            output: args.output.output,
        })
    }
}

fn hosts(domain: &str) -> Result<HostPattern, Failure> {
    let what = format!("cannot use {domain:?} as domain");
    let cannot =
        || Failure::new(Kind::Usage, what.clone()).fix("name one like ws.localhost with --domain");
    let last = domain.trim_end_matches('.').rsplit('.').next();
    // Browsers take a name that ends in a number for an address (URL standard, section 3.5).
    let is_number = |last: &str| !last.is_empty() && last.bytes().all(|it| it.is_ascii_digit());
    if last.is_some_and(is_number) {
        return Err(cannot().why("it is an address, and nothing has a name under one"));
    }
    HostPattern::new(domain).map_err(|why| cannot().because(&why))
}

fn limits(settings: &[Setting]) -> Limits {
    let mut limits = Limits::new();
    for setting in settings {
        setting.apply(&mut limits);
    }
    limits
}

fn ide(text: &str) -> Result<Ide, Failure> {
    match text {
        "auto" => Ok(Ide::Auto),
        "none" => Ok(Ide::None),
        command => {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            if words.is_empty() {
                return Err(Failure::new(Kind::Usage, "--ide names no command")
                    .fix("use auto, none, or a command such as `jupyter lab --port {port}`"));
            }
            Ok(Ide::Command(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_have_no_names_under_an_address() {
        assert!(hosts("ws.localhost").is_ok());
        assert!(hosts("7.example.test").is_ok());
        for domain in ["127.0.0.1", "10.0.0.1.", "[::1]", "x.7", ""] {
            let told = hosts(domain).unwrap_err().to_string();
            assert!(told.contains("fix: name one like"), "{domain}: {told}");
        }
    }
}
