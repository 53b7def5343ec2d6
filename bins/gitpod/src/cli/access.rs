//! The commands about who may use workspaces, and about this program.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use gitpod_routing::Visibility;
use serde::{Deserialize, Serialize};

use super::{Output, StateDir, positive};
use crate::port;

#[derive(Args, Debug)]
pub(crate) struct OpenArgs {
    /// Which workspace; without one: the page of all workspaces.
    pub(crate) id: Option<String>,
    /// Lead to this port instead of the editor.
    #[arg(long, value_name = "PORT", requires = "id", value_parser = port::read)]
    pub(crate) port: Option<u16>,
    /// Only print the link.
    #[arg(long)]
    pub(crate) no_browser: bool,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct PortsArgs {
    /// Which workspace.
    pub(crate) id: String,
    /// Open a port to everybody, or to its owner alone; kept with the workspace. May be
    /// given more than once.
    #[arg(long, value_name = "PORT=private|public")]
    pub(crate) set: Vec<SetPort>,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is wanted of a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SetPort {
    pub(crate) port: u16,
    pub(crate) visibility: PortVisibility,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PortVisibility {
    /// For its owner, and those a share lets in.
    Private,
    /// For everybody who reaches this machine.
    Public,
}

impl FromStr for SetPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (port, visibility) = text
            .split_once('=')
            .ok_or_else(|| "write it like 3000=public".to_owned())?;
        let port = port::read(port)?;
        let visibility = PortVisibility::from_str(visibility, true)
            .map_err(|_| format!("{visibility:?} is neither `private` nor `public`"))?;
        Ok(Self { port, visibility })
    }
}

impl From<PortVisibility> for Visibility {
    fn from(visibility: PortVisibility) -> Self {
        match visibility {
            PortVisibility::Private => Self::Private,
            PortVisibility::Public => Self::Public,
        }
    }
}

impl fmt::Display for PortVisibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct ShareArgs {
    /// Which workspace.
    pub(crate) id: String,
    /// Share this port alone, instead of the editor and all ports.
    #[arg(long, value_name = "PORT", value_parser = port::read)]
    pub(crate) port: Option<u16>,
    /// How long the link works: `2h`, `30m`, `7d`; a year at most.
    #[arg(long = "for", value_name = "DURATION", default_value = "2h", value_parser = a_year_at_most)]
    pub(crate) lifetime: Duration,
    /// Show what is shared already, and share nothing.
    #[arg(long, conflicts_with_all = ["port", "lifetime"])]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Shares that last longer would be cut short without a word.
fn a_year_at_most(text: &str) -> Result<Duration, String> {
    let lifetime = positive(text)?;
    match lifetime > A_YEAR {
        true => Err("a link works for a year at most; write 365d or less".to_owned()),
        false => Ok(lifetime),
    }
}

const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Args, Debug)]
pub(crate) struct UnshareArgs {
    /// Which workspace.
    pub(crate) id: String,
    /// Which share, as `share` printed it; without one: all of them.
    pub(crate) share_id: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct TimeoutArgs {
    /// Which workspace. It need not run.
    pub(crate) id: String,
    /// Stop it when nobody has used it for so long: `30m`, `2h`; kept with the workspace.
    #[arg(value_parser = positive)]
    pub(crate) duration: Duration,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct WakeArgs {
    /// Which workspace. It need not run.
    pub(crate) id: String,
    /// Who has it started by coming to it while it is stopped.
    #[arg(value_enum, value_name = "WHO")]
    pub(crate) policy: Wake,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Who has a stopped workspace started by coming to it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wake {
    /// Its owner.
    #[default]
    Owner,
    /// Everybody who may use what she asks for: a public port, a share.
    Anyone,
    /// Nobody: `gitpod start` does.
    Never,
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Anyone => "anyone",
            Self::Never => "never",
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The domain that `up` is to use.
    #[arg(long, value_name = "NAME", default_value = "ws.localhost")]
    pub(crate) domain: String,
    /// Where `up` is to listen for HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: std::net::SocketAddr,
    /// Where `up` is to listen for SSH.
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:2200")]
    pub(crate) ssh_listen: super::SshListen,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionArgs {
    /// For which shell.
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this directory, instead of printing the first.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_last_a_year_at_most() {
        assert_eq!(a_year_at_most("365d"), Ok(A_YEAR));
        for text in ["366d", "9000h"] {
            assert!(a_year_at_most(text).unwrap_err().contains("365d"), "{text}");
        }
    }

    #[test]
    fn port_is_set_by_number_and_visibility() {
        let set = SetPort {
            port: 3000,
            visibility: PortVisibility::Public,
        };
        assert_eq!("3000=public".parse(), Ok(set));
        for text in [
            "3000",
            "0=public",
            "70000=public",
            "+80=public",
            "3000=open",
            "=",
            "",
        ] {
            assert!(text.parse::<SetPort>().is_err(), "{text}");
        }
    }
}
