//! The gateway as `up` runs it.

use std::sync::Arc;
use std::time::Duration;

use gitpod_lifecycle::process::Layout;
use gitpod_routing::{ActivitySink, MemoryProvider};
use gitpod_sshgw::{Authenticate, Gateway, OwnerAuthenticator, SshLimits};

use super::keys::Keys;
use super::provider::KeyedProvider;
use super::upstream::LocalUpstream;

/// The gateway to `workspaces`, whose files are in `layout`. Who is used is told to
/// `activity`.
pub(super) fn gateway(
    keys: &Keys,
    workspaces: MemoryProvider,
    layout: Layout,
    activity: Arc<dyn ActivitySink>,
    drain: Duration,
) -> Gateway {
    let provider = KeyedProvider {
        workspaces,
        keys: keys.authorized.clone(),
    };
    let authenticator = Arc::new(OwnerAuthenticator::new());
    let upstream = LocalUpstream {
        layout,
        user_ca: keys.user_ca.clone(),
    };
    Gateway::new(
        Authenticate::new(Arc::new(provider), authenticator),
        Arc::new(upstream),
    )
    .with_host_keys(keys.host.iter().cloned())
    .with_limits(limits(drain))
    .with_activity(activity)
    .with_start_command("gitpod start")
}

fn limits(drain: Duration) -> SshLimits {
    let mut limits = SshLimits::default();
    // `gitpod up --timeout` may be seconds.
    limits.activity = Duration::from_secs(1);
    // As long as requests have; then workspaces stop, and sessions with them.
    limits.drain = drain;
    limits
}
