//! How much a gateway takes from anybody.

use std::time::Duration;

/// The limits of a [`Gateway`](crate::Gateway). Set the fields you want otherwise.
///
/// What was refused is counted in `gitpod_ws_proxy_ssh_refused_total{limit=…}`, what
/// was ended in `gitpod_ws_proxy_ssh_ended_total{why=…}`.
///
/// ```
/// # use std::time::Duration;
/// # use gitpod_sshgw::SshLimits;
/// let mut limits = SshLimits::default();
/// limits.sessions_per_workspace = 10;
/// limits.idle = Some(Duration::from_secs(3600));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SshLimits {
    /// From the first byte until somebody is let in. Long enough to type a password.
    pub login_grace: Duration,
    /// Failed authentication requests of a connection, beside the first `none`. An
    /// agent with five keys still gets to its password.
    pub login_attempts: usize,
    /// What a refusal takes at least, so that its reason cannot be timed: far more
    /// than a lookup, and little for somebody whose second key is the right one.
    pub refusal_time: Duration,
    /// Bytes read before somebody is let in: some tens of keys and key exchanges.
    pub login_bytes: usize,
    /// Connections on which nobody is let in yet, of all clients together.
    pub strangers: usize,
    /// The same of one source: an IPv4 address, or a /64 network of IPv6.
    pub strangers_per_source: usize,
    /// Connections into one workspace at a time.
    pub sessions_per_workspace: usize,
    /// Channels open in one connection, forwarded ones included.
    pub channels_per_session: usize,
    /// Without a byte in any channel, a connection is ended after this.
    pub idle: Option<Duration>,
    /// After this without a packet the other side is asked whether it is there.
    pub keep_alive: Duration,
    /// How many such questions may go unanswered. A write may block as long.
    pub keep_alives_missed: usize,
    /// Bytes in one direction, after which keys are exchanged anew.
    pub rekey_bytes: usize,
    /// Time after which keys are exchanged anew.
    pub rekey_time: Duration,
    /// Until the workspace's server has let the gateway in.
    pub connect: Duration,
    /// How often it is asked whether a session may go on. Half of what it may take
    /// to end.
    pub recheck: Duration,
    /// How often use is reported at most.
    pub activity: Duration,
    /// How long sessions may go on after a shutdown began.
    pub drain: Duration,
}

impl Default for SshLimits {
    fn default() -> Self {
        Self {
            login_grace: Duration::from_secs(60),
            login_attempts: 6,
            refusal_time: Duration::from_millis(50),
            login_bytes: 256 * 1024,
            strangers: 1000,
            strangers_per_source: 50,
            sessions_per_workspace: 100,
            channels_per_session: 256,
            idle: Some(Duration::from_secs(24 * 3600)),
            keep_alive: Duration::from_secs(30),
            keep_alives_missed: 3,
            rekey_bytes: 1 << 30,
            rekey_time: Duration::from_secs(3600),
            connect: Duration::from_secs(10),
            recheck: Duration::from_millis(400),
            activity: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}
