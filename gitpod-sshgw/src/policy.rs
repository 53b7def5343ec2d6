//! What may be asked of a workspace over SSH.

use std::fmt;

use crate::authenticate::Authenticated;

/// Decides what somebody who was let in may ask of the workspace.
///
/// The gateway calls it for each channel and each request in one, before anything of
/// it reaches the workspace; answer at once, from memory. Nothing that it allows makes
/// the gateway itself listen or dial: forwards are the workspace's.
///
/// # Contract
///
/// - The same question gets the same answer while a session lasts.
/// - [`ChannelAsk::Variable`] with a name that changes which code runs, such as
///   `LD_PRELOAD`, is refused.
///
/// [`UsualChannels`] is what gateways do if they are not told otherwise.
///
/// # Source
///
/// Kinds of channels and requests: SSH connection protocol (RFC 4254), and OpenSSH's
/// extensions of it.
pub trait ChannelPolicy: fmt::Debug + Send + Sync + 'static {
    /// Whether `who` may ask for `what`.
    fn allows(&self, who: &Authenticated, what: &ChannelAsk<'_>) -> bool;
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ChannelAsk<'a> {
    /// A channel for one program.
    Session,
    /// A terminal for it.
    Terminal,
    /// A variable in its environment, by this name.
    Variable(&'a str),
    /// The user's shell.
    Shell,
    /// A command, to be read by the shell.
    Command(&'a [u8]),
    /// A subsystem, such as `sftp`.
    Subsystem(&'a str),
    /// The use of the client's SSH agent in the workspace.
    Agent,
    /// The use of the client's display in the workspace.
    Display,
    /// A connection from the workspace to `host` and `port`.
    Dial {
        /// Name or address, to be resolved in the workspace.
        host: &'a str,
        /// Port.
        port: u32,
    },
    /// A connection to a unix socket in the workspace.
    DialSocket(&'a str),
    /// Connections to a port in the workspace, to be handed to the client.
    Listen {
        /// Address in the workspace.
        address: &'a str,
        /// Port; 0 is any.
        port: u32,
    },
    /// The same for a unix socket.
    ListenSocket(&'a str),
}

/// A [`ChannelPolicy`] that allows everything but the client's display, and variables
/// other than those which say how to talk to the user.
///
/// Names that are allowed are [`VARIABLES`](Self::VARIABLES), and those that begin with
/// `LC_`. Nothing that names a program to run, as some of `VSCODE_*` do.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct UsualChannels;

impl UsualChannels {
    /// Names of the variables that are allowed, beside `LC_*`: language, time zone, looks,
    /// and the version of git's protocol.
    pub const VARIABLES: [&'static str; 9] = [
        "COLORTERM",
        "GIT_PROTOCOL",
        "LANG",
        "LANGUAGE",
        "NO_COLOR",
        "TERM",
        "TERM_PROGRAM",
        "TERM_PROGRAM_VERSION",
        "TZ",
    ];

    /// The policy.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl ChannelPolicy for UsualChannels {
    fn allows(&self, _who: &Authenticated, what: &ChannelAsk<'_>) -> bool {
        match what {
            ChannelAsk::Variable(name) => is_harmless(name),
            ChannelAsk::Display => false,
            _ => true,
        }
    }
}

/// A [`ChannelPolicy`] for programs only: no forwards in either direction.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoForwards;

impl NoForwards {
    /// The policy.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl ChannelPolicy for NoForwards {
    fn allows(&self, who: &Authenticated, what: &ChannelAsk<'_>) -> bool {
        match what {
            ChannelAsk::Dial { .. }
            | ChannelAsk::DialSocket(_)
            | ChannelAsk::Listen { .. }
            | ChannelAsk::ListenSocket(_)
            | ChannelAsk::Agent => false,
            _ => UsualChannels.allows(who, what),
        }
    }
}

/// Whether a variable of this `name` only says how to talk to the user.
fn is_harmless(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let named = UsualChannels::VARIABLES.contains(&name);
    name.bytes().all(known)
        && (named
            || name
                .strip_prefix("LC_")
                .is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_43_a_variable_that_changes_what_runs_is_refused() {
        let cases = [
            ("LANG", true),
            ("LC_ALL", true),
            ("GIT_PROTOCOL", true),
            ("LANGUAGE", true),
            ("TERM_PROGRAM", true),
            ("VSCODE_GIT_ASKPASS_NODE", false), // a program
            ("LD_PRELOAD", false),
            ("LD_LIBRARY_PATH", false),
            ("PATH", false),
            ("BASH_ENV", false),
            ("GIT_SSH_COMMAND", false),
            ("LC_ALL=x\nLD_PRELOAD", false), // no name at all
            ("LC_", false),
            ("lang", false),
            ("", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_harmless(name), expected, "{name:?}");
        }
    }
}
