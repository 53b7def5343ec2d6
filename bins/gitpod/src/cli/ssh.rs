//! The commands of SSH.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{Output, StateDir};

/// Where to listen for SSH, if at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SshListen {
    At(SocketAddr),
    Off,
}

impl FromStr for SshListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|why| format!("{why}; write it like 127.0.0.1:2200, or `off`")),
        }
    }
}

impl fmt::Display for SshListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct SshArgs {
    /// Which workspace.
    pub(crate) id: String,
    /// Connect standard input and output to the gateway: for `ProxyCommand` of OpenSSH.
    #[arg(long, conflicts_with_all = ["tty", "command"])]
    pub(crate) stdio: bool,
    /// A terminal also for a command.
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Run this instead of a shell. Its words are joined with blanks, and read by the
    /// workspace's shell: quote twice what it shall not take apart.
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) state: StateDir,
}

#[derive(Args, Debug)]
pub(crate) struct SshKeyArgs {
    #[command(subcommand)]
    pub(crate) command: SshKeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SshKeyCommand {
    /// Let a public key in: into every workspace, from now on.
    #[command(after_help = "Examples:
  gitpod ssh-key add                   your own keys, ~/.ssh/id_*.pub
  gitpod ssh-key add colleague.pub
  curl -s https://example.com/me.keys | gitpod ssh-key add -")]
    Add(SshKeyAddArgs),
    /// Show the keys that were added.
    #[command(after_help = "Examples:
  gitpod ssh-key list
  gitpod ssh-key list -o json | jq -r '.[].fingerprint'")]
    List(SshKeyListArgs),
    /// Let a key in no longer, and end its sessions.
    #[command(after_help = "Examples:
  gitpod ssh-key remove colleague@example.com
  gitpod ssh-key remove SHA256:9fQ…     as `gitpod ssh-key list` shows it")]
    Remove(SshKeyRemoveArgs),
}

#[derive(Args, Debug)]
pub(crate) struct SshKeyAddArgs {
    /// A file with public keys, one in a line; `-` is standard input.
    /// [default: all of ~/.ssh/id_*.pub]
    #[arg(value_name = "FILE|-")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct SshKeyListArgs {
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct SshKeyRemoveArgs {
    /// As `gitpod ssh-key list` shows it.
    #[arg(value_name = "FINGERPRINT|COMMENT")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct SshConfigArgs {
    /// Let OpenSSH's configuration file of this user include it, instead of printing it.
    #[arg(long)]
    pub(crate) write: bool,
    /// Which file, instead of ~/.ssh/config.
    #[arg(long, value_name = "FILE", requires = "write")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateDir,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_listens_somewhere_or_not_at_all() {
        assert_eq!("off".parse(), Ok(SshListen::Off));
        let at: SshListen = "127.0.0.1:0".parse().unwrap();
        assert_eq!(at.to_string(), "127.0.0.1:0");
        assert!("2200".parse::<SshListen>().is_err());
    }
}
