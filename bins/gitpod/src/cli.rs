//! The command line.

mod access;
mod limit;
mod ssh;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use gitpod_lifecycle::GoDuration;
use support::limits::Setting;

pub(crate) use self::access::{
    CompletionArgs, DoctorArgs, ManArgs, OpenArgs, PortVisibility, PortsArgs, SetPort, ShareArgs,
    TimeoutArgs, UnshareArgs, VersionArgs, Wake, WakeArgs,
};
pub(crate) use self::ssh::{
    SshArgs, SshConfigArgs, SshKeyAddArgs, SshKeyArgs, SshKeyCommand, SshKeyListArgs,
    SshKeyRemoveArgs, SshListen,
};

/// From a git repository to a running workspace at its own hostname.
#[derive(Debug, Parser)]
#[command(name = "gitpod", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole system on this machine, and a workspace of REPO if one is given.
    #[command(after_help = "Examples:
  gitpod up .                          the system, and a workspace of this repository
  gitpod up --listen 127.0.0.1:0 -o json")]
    Up(UpArgs),
    /// Make a workspace of a repository, or start a stopped one again.
    #[command(after_help = "Examples:
  gitpod start https://example.com/repo.git
  gitpod start ./path --branch main --depth 1
  gitpod start pink-panda-ns35kd21     again, with its files")]
    Start(StartArgs),
    /// Show all workspaces.
    #[command(after_help = "Examples:
  gitpod list
  gitpod list -o json | jq -r '.[] | select(.phase == \"running\") | .url'")]
    List(ListArgs),
    /// Show one workspace: state, ports, conditions, why it is alive and when it stops.
    #[command(after_help = "Examples:
  gitpod describe pink-panda-ns35kd21
  gitpod describe pink-panda-ns35kd21 -o json | jq -r .owner_token")]
    Describe(DescribeArgs),
    /// Print what a workspace's tasks print.
    #[command(after_help = "Examples:
  gitpod logs pink-panda-ns35kd21
  gitpod logs -f pink-panda-ns35kd21 --task web")]
    Logs(LogsArgs),
    /// Open a shell in a workspace, or run a command there.
    #[command(after_help = "Examples:
  gitpod ssh pink-panda-ns35kd21
  gitpod ssh pink-panda-ns35kd21 -- make test
  gitpod ssh pink-panda-ns35kd21 -- \"touch 'a b'\"   its shell reads the words once more")]
    Ssh(SshArgs),
    /// Say whose SSH keys open workspaces.
    #[command(after_help = "Examples:
  gitpod ssh-key add                   your own keys, ~/.ssh/id_*.pub
  gitpod ssh-key add colleague.pub
  gitpod ssh-key remove colleague@example.com")]
    SshKey(SshKeyArgs),
    /// Let OpenSSH and VS Code reach workspaces as hosts: ID.gitpod.
    #[command(after_help = "Examples:
  gitpod ssh-config --write            once; then: ssh ID.gitpod
  gitpod ssh-config                    prints what that amounts to")]
    SshConfig(SshConfigArgs),
    /// Print a link that signs a browser in, and open it: the page, or a workspace.
    #[command(after_help = "Examples:
  gitpod open                          the page of all workspaces
  gitpod open pink-panda-ns35kd21      the editor of one
  gitpod open pink-panda-ns35kd21 --port 3000 --no-browser")]
    Open(OpenArgs),
    /// Show the ports of a workspace, or change who may use them.
    #[command(after_help = "Examples:
  gitpod ports pink-panda-ns35kd21
  gitpod ports pink-panda-ns35kd21 --set 3000=public")]
    Ports(PortsArgs),
    /// Make a link by which others may use a workspace for a while.
    #[command(after_help = "Examples:
  gitpod share pink-panda-ns35kd21 --port 3000 --for 30m
  gitpod share pink-panda-ns35kd21 -o json
  gitpod share pink-panda-ns35kd21 --list")]
    Share(ShareArgs),
    /// End shares of a workspace, and cut their visitors off.
    #[command(after_help = "Examples:
  gitpod unshare pink-panda-ns35kd21                   all of them
  gitpod unshare pink-panda-ns35kd21 0a1b2c…           one, as `gitpod share ID --list` names it")]
    Unshare(UnshareArgs),
    /// Say after how long without use a workspace stops.
    #[command(after_help = "Example:
  gitpod timeout pink-panda-ns35kd21 2h")]
    Timeout(TimeoutArgs),
    /// Say who has a stopped workspace started by coming to it.
    #[command(after_help = "Examples:
  gitpod wake pink-panda-ns35kd21 anyone   also guests of public ports, and visitors of shares
  gitpod wake pink-panda-ns35kd21 never    only `gitpod start` and the page")]
    Wake(WakeArgs),
    /// Stop a workspace and keep its files.
    #[command(after_help = "Examples:
  gitpod stop pink-panda-ns35kd21
  gitpod stop --now pink-panda-ns35kd21  without 30 seconds for its processes to finish")]
    Stop(StopArgs),
    /// Stop a workspace and remove it and its files.
    #[command(after_help = "Example:
  gitpod delete pink-panda-ns35kd21")]
    Delete(DeleteArgs),
    /// Check whether this machine has what `up` needs; each finding comes with a fix.
    #[command(after_help = "Examples:
  gitpod doctor
  gitpod doctor --domain ws.example.com -o json")]
    Doctor(DoctorArgs),
    /// Print a script that completes commands in a shell.
    #[command(after_help = "Examples:
  gitpod completion bash > ~/.local/share/bash-completion/completions/gitpod
  gitpod completion fish > ~/.config/fish/completions/gitpod.fish
  gitpod completion zsh > ~/.zfunc/_gitpod")]
    Completion(CompletionArgs),
    /// Print the manual, or write a page for each command.
    #[command(after_help = "Examples:
  gitpod man | man -l -
  gitpod man --dir ~/.local/share/man/man1")]
    Man(ManArgs),
    /// Tell the version of this program, and that of the `up` that runs.
    #[command(after_help = "Example:
  gitpod version -o json")]
    Version(VersionArgs),
    /// Run inside a workspace (started by `up`).
    #[command(hide = true)]
    Supervisor {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct StateDir {
    /// Where everything is kept, and where commands find a running `up`.
    /// [default: $XDG_STATE_HOME/gitpod, or ~/.local/state/gitpod]
    #[arg(long, value_name = "DIR", env = "GITPOD_STATE_DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Output {
    /// For people, or for scripts.
    #[arg(short, long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For scripts: fields documented in the README.
    Json,
}

/// Which network workspaces get.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Network {
    /// One of its own for each, where that can be had.
    Auto,
    /// One of its own for each, or none is started.
    Own,
    /// This machine's.
    Shared,
}

#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    /// Repository of a first workspace: a URL or a path.
    pub(crate) repo: Option<String>,
    /// Where to listen for HTTP; port 0 takes a free one.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        overrides_with = "listen"
    )]
    pub(crate) listen: SocketAddr,
    /// Where to listen for SSH; port 0 takes a free one, `off` does without.
    #[arg(
        long,
        value_name = "ADDR|off",
        default_value = "127.0.0.1:2200",
        overrides_with = "ssh_listen"
    )]
    pub(crate) ssh_listen: SshListen,
    /// Workspaces get hostnames under this one.
    #[arg(long, value_name = "NAME", default_value = "ws.localhost")]
    pub(crate) domain: String,
    /// A workspace that nobody uses for so long is stopped: `30m`, `1h30m`.
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = positive)]
    pub(crate) timeout: Duration,
    /// How long a request to a stopped workspace is held while that starts.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = positive)]
    pub(crate) hold_for: Duration,
    /// How many requests are held for one workspace; ten times as many altogether.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) hold_requests: u32,
    /// What to open a workspace with: `auto` takes what is installed, `none` shows
    /// the workspace's own page, anything else is a command in which `{port}` and
    /// `{content}` are filled in.
    #[arg(
        long,
        value_name = "auto|none|COMMAND",
        default_value = "auto",
        overrides_with = "ide"
    )]
    pub(crate) ide: String,
    /// Which network a workspace is in: `own`, where its ports are nobody else's;
    /// `shared` with this machine; `auto` takes `own` where this machine allows it.
    #[arg(long, value_enum, default_value_t = Network::Auto, value_name = "NETWORK")]
    pub(crate) network: Network,
    /// Take over from the `up` that runs on this state directory, at the same addresses, without refusing or cutting
    /// off anybody. Workspaces go on. What it has open may finish, for as long as its own --drain.
    #[arg(long)]
    pub(crate) replace: bool,
    /// With --replace: how long either side waits for the other. Then the one that ran before goes on.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        value_parser = positive,
        overrides_with = "replace_within"
    )]
    pub(crate) replace_within: Duration,
    /// At the end, requests and WebSockets may go on for so long; then workspaces stop.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = not_negative,
        overrides_with = "drain"
    )]
    pub(crate) drain: Duration,
    /// Set a limit; `gitpod up --help` lists them.
    #[arg(long = "limit", value_name = "NAME=VALUE", long_help = limit::help())]
    pub(crate) limits: Vec<Setting>,
    #[command(flatten)]
    pub(crate) checkout: Checkout,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Checkout {
    /// Branch or tag to check out.
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// How many commits of history to fetch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct StartArgs {
    /// A URL or a path of a repository, or the id of a stopped workspace.
    #[arg(value_name = "REPO|ID")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) checkout: Checkout,
    /// Do not wait until it runs.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Give up waiting after this long (exit code 4); the workspace goes on.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = positive)]
    pub(crate) wait_timeout: Duration,
    /// Stop it after so long without use, instead of what `up` was told; kept with the
    /// workspace.
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub(crate) timeout: Option<Duration>,
    /// Who has it started by coming to it while it is stopped; kept with the workspace.
    /// `owner` for a new one.
    #[arg(long, value_enum, value_name = "WHO")]
    pub(crate) wake: Option<Wake>,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct DescribeArgs {
    /// Which workspace.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// Which workspace.
    pub(crate) id: String,
    /// Go on until the workspace stops, or the one task has ended.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the task of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateDir,
}

#[derive(Args, Debug)]
pub(crate) struct StopArgs {
    /// Which workspace.
    pub(crate) id: String,
    /// Do not give its processes time to finish.
    #[arg(long)]
    pub(crate) now: bool,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Which workspace.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) output: Output,
}

fn not_negative(text: &str) -> Result<Duration, String> {
    match text {
        "0" => Ok(Duration::ZERO),
        text => positive(text),
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    if let Some(days) = days.filter(|days| *days > 0) {
        return Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    }
    let parsed: GoDuration = text
        .parse()
        .map_err(|why| format!("{why}; write it like 30m, 90s, 1h30m or 2d"))?;
    parsed
        .to_std()
        .filter(|duration| *duration >= Duration::from_millis(1))
        .ok_or_else(|| "must be 1ms at least".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_does_something_has_an_example() {
        fn without_example(command: &clap::Command, found: &mut Vec<String>) {
            for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
                let help = below.get_after_help().map(ToString::to_string);
                if !help.is_some_and(|help| help.contains("gitpod ")) {
                    found.push(below.get_name().to_owned());
                }
                without_example(below, found);
            }
        }
        let mut found = Vec::new();
        without_example(&Cli::command(), &mut found);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn durations_are_positive() {
        assert_eq!(positive("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(positive("2d"), Ok(Duration::from_secs(172_800)));
        assert!(positive("0").is_err());
        assert!(positive("1ns").unwrap_err().contains("1ms"));
        assert!(positive("0d").is_err());
        assert!(positive("-5s").is_err());
        assert!(positive("five").is_err());
    }
}
