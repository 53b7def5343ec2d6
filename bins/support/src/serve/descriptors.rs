//! Open files, of which connections are some.

use rustix::process::{Resource, getrlimit, setrlimit};

/// How many descriptors are kept for everything but client connections.
const OTHERS: u64 = 512;

/// Takes as many descriptors as the system lets this process have.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(why) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%why, "the limit of open files stays as it is");
    }
}

/// As many connections as `wanted`, or as there are descriptors for: each may need two.
pub(super) fn at_most(wanted: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let for_clients = descriptors.saturating_sub(OTHERS) / 2;
    let for_clients = usize::try_from(for_clients).unwrap_or(usize::MAX);
    wanted.min(for_clients.max(16))
}
