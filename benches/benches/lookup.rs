//! Finding a workspace among 1000, and among a million.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark is no interface, and may fail"
)]
#![allow(
    unused_qualifications,
    clippy::exit,
    reason = "in what the macros make"
)]

use std::hint::black_box;

use gitpod_benches::{id, workspaces};
use gitpod_routing::{Lookup, MemoryProvider, WorkspaceId, WorkspaceInfoProvider};
use gungraun::{library_benchmark, library_benchmark_group, main};

#[library_benchmark(setup = filled)]
#[bench::thousand(1000)]
#[bench::million(1_000_000)]
fn lookup((provider, id): (MemoryProvider, WorkspaceId)) -> (MemoryProvider, Option<Lookup>) {
    let found = black_box(provider.cached(black_box(&id)));
    (provider, found) // given back, so that freeing it is not measured
}

fn filled(count: u64) -> (MemoryProvider, WorkspaceId) {
    (workspaces(count).unwrap(), id(count / 2).unwrap())
}

library_benchmark_group!(name = table, benchmarks = lookup);
main!(library_benchmark_groups = table);
