//! How long a lookup among a million workspaces takes, and how much memory each needs.
//!
//! ```sh
//! cargo run --release -p gitpod-benches --bin lookup_latency
//! ```
//!
//! Prints the 50th, 99th and 99.9th percentile in nanoseconds, each with the cost of reading
//! the clock taken off, and bytes per workspace as the growth of resident memory. Goals:
//! p99 below 1 µs, at most 500 bytes each.

#![allow(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::disallowed_types,
    reason = "this is the one place that measures real time"
)]

use std::hint::black_box;
use std::time::Instant;

use gitpod_benches::{Error, id, workspaces};
use gitpod_routing::WorkspaceInfoProvider;

const COUNT: u64 = 1_000_000;
const LOOKUPS: u64 = 1_000_000;

fn main() -> Result<(), Error> {
    let before = resident_bytes()?;
    let provider = workspaces(COUNT)?;
    let each = resident_bytes()?.saturating_sub(before) / COUNT;
    println!("workspaces  {COUNT}");
    println!("bytes each  {each}");

    let clock = percentiles((0..LOOKUPS).map(|_| time(|| ())).collect());
    let mut taken = Vec::new();
    for number in 0..LOOKUPS {
        // Far apart in the table, so that caches help no more than they do in service.
        let wanted = id(number.wrapping_mul(611_953) % COUNT)?;
        taken.push(time(|| provider.cached(black_box(&wanted))));
    }
    for (name, (whole, clock)) in NAMES.iter().zip(percentiles(taken).iter().zip(clock)) {
        println!("{name:<10}  {} ns", whole.saturating_sub(clock));
    }
    Ok(())
}

fn time<T>(work: impl FnOnce() -> T) -> u64 {
    let began = Instant::now();
    let result = black_box(work());
    let taken = began.elapsed();
    drop(result);
    u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX)
}

const NAMES: [&str; 3] = ["p50", "p99", "p99.9"];

fn percentiles(mut taken: Vec<u64>) -> [u64; 3] {
    taken.sort_unstable();
    let at = |thousandths: usize| taken.get(taken.len() * thousandths / 1000).copied();
    [at(500), at(990), at(999)].map(Option::unwrap_or_default)
}

/// **Source:** `proc(5)`, second field of `statm`, in pages of 4 KiB.
fn resident_bytes() -> Result<u64, Error> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .ok_or("statm has one field only")?
        .parse()?;
    Ok(pages * 4096)
}
