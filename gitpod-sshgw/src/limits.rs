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
    /// Places in the workspace where it listens for one client, ports and sockets.
    pub listeners_per_session: usize,
    /// Bytes that wait in memory until somebody who reads slowly takes them, of all
    /// channels of all clients. The nearer the sum is to this, the sooner a channel's
    /// sender is made to wait; nobody is cut for it.
    pub held_bytes: usize,
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
            listeners_per_session: 64,
            held_bytes: 256 << 20,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let table = include_str!("../../docs/ssh.md");
        for (field, default) in rows(SshLimits::default()) {
            let row = format!("| `{field}` | {default} | ");
            let rows = table.lines().filter(|line| line.starts_with(&row));
            assert_eq!(rows.count(), 1, "docs/ssh.md has no row {row:?}");
        }
    }

    /// All fields, as they are written there: one that is added does not compile without a row.
    fn rows(limits: SshLimits) -> Vec<(&'static str, String)> {
        let SshLimits {
            login_grace,
            login_attempts,
            refusal_time,
            login_bytes,
            strangers,
            strangers_per_source,
            sessions_per_workspace,
            channels_per_session,
            listeners_per_session,
            held_bytes,
            idle,
            keep_alive,
            keep_alives_missed,
            rekey_bytes,
            rekey_time,
            connect,
            recheck,
            activity,
            drain,
        } = limits;
        vec![
            ("login_grace", time(login_grace)),
            ("login_attempts", format!("{login_attempts} failures")),
            ("refusal_time", time(refusal_time)),
            ("login_bytes", bytes(login_bytes)),
            ("strangers", format!("{strangers} connections")),
            (
                "strangers_per_source",
                format!("{strangers_per_source} connections"),
            ),
            (
                "sessions_per_workspace",
                format!("{sessions_per_workspace} connections"),
            ),
            (
                "channels_per_session",
                format!("{channels_per_session} channels"),
            ),
            (
                "listeners_per_session",
                format!("{listeners_per_session} places"),
            ),
            ("held_bytes", bytes(held_bytes)),
            ("idle", idle.map_or_else(|| "none".to_owned(), time)),
            ("keep_alive", time(keep_alive)),
            (
                "keep_alives_missed",
                format!("{keep_alives_missed} questions"),
            ),
            ("rekey_bytes", bytes(rekey_bytes)),
            ("rekey_time", time(rekey_time)),
            ("connect", time(connect)),
            ("recheck", time(recheck)),
            ("activity", time(activity)),
            ("drain", time(drain)),
        ]
    }

    fn time(time: Duration) -> String {
        match (time.as_secs(), time.subsec_millis()) {
            (0, ms) => format!("{ms} ms"),
            (seconds, _) if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
            (seconds, _) => format!("{seconds} s"),
        }
    }

    fn bytes(bytes: usize) -> String {
        match bytes {
            _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
            _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
            _ => format!("{} KiB", bytes >> 10),
        }
    }
}
