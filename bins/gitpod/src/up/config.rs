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
        let hosts = HostPattern::new(&args.domain).map_err(|why| {
            Failure::new(
                Kind::Usage,
                format!("cannot use {:?} as domain", args.domain),
            )
            .because(&why)
            .fix("name one like ws.localhost with --domain")
        })?;
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
            drain: args.drain,
            state_dir: state_dir::locate(args.state.state_dir.as_deref())?,
            output: args.output.output,
        })
    }
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
