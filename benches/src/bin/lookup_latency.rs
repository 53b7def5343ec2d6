//! How long a lookup among a million workspaces takes, and how much memory each needs.
//!
//! ```sh
//! cargo run --release -p gitpod-benches --bin lookup_latency
//! ```
//!
//! Prints the 50th, 99th and 99.9th percentile in nanoseconds, each with the cost of reading
//! the clock taken off, of five rounds and their median, and bytes per workspace as the
//! growth of resident memory. Goals: p99 below 1 µs, at most 500 bytes each.
//!
//! For comparison it also follows pointers through as much memory: one read whose place is
//! known only when it begins, and two of which the second depends on the first. A lookup
//! needs at least two, one in the table and one of the workspace.

#![allow(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::disallowed_types,
    reason = "this is the one place that measures real time"
)]

use std::hint::black_box;
use std::time::Instant;

use gitpod_benches::{Error, id, workspaces};
use gitpod_routing::{MemoryProvider, WorkspaceInfoProvider};

const COUNT: u64 = 1_000_000;
const LOOKUPS: u64 = 1_000_000;

fn main() -> Result<(), Error> {
    let before = resident_bytes()?;
    let provider = workspaces(COUNT)?;
    let each = resident_bytes()?.saturating_sub(before) / COUNT;
    println!("workspaces  {COUNT}");
    println!("bytes each  {each}");

    let chain = chain(usize::try_from(each * COUNT)?);
    report("one read", || Ok(reads(&chain, 1)))?;
    report("two reads", || Ok(reads(&chain, 2)))?;
    report("lookup", || lookups(&provider))
}

fn lookups(provider: &MemoryProvider) -> Result<Vec<u64>, Error> {
    let mut taken = Vec::new();
    for number in 0..LOOKUPS {
        // Far apart in the table, so that caches help no more than they do in service.
        let wanted = id(number.wrapping_mul(611_953) % COUNT)?;
        taken.push(time(|| provider.cached(black_box(&wanted))));
    }
    Ok(taken)
}

/// Lines of memory, each of which says where to read next.
fn chain(bytes: usize) -> Vec<[usize; 8]> {
    let lines = bytes / 64;
    (0..lines)
        .map(|line| [line.wrapping_mul(0x9e37_79b9_7f4a_7c15) % lines.max(1); 8])
        .collect()
}

fn reads(chain: &[[usize; 8]], count: u32) -> Vec<u64> {
    let read = |place: usize| chain.get(place).map_or(0, |line| line[0]);
    let places = (0..LOOKUPS).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    places
        .map(|place| usize::try_from(place).unwrap_or_default() % chain.len().max(1))
        .map(|place| time(|| (0..count).fold(black_box(place), |place, _| read(place))))
        .collect()
}

/// Prints the percentiles of [`ROUNDS`] rounds of `work`, and their medians.
fn report(name: &str, work: impl Fn() -> Result<Vec<u64>, Error>) -> Result<(), Error> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let clock = percentiles((0..LOOKUPS).map(|_| time(|| ())).collect());
        let [clock, ..] = clock;
        rounds.push(percentiles(work()?).map(|whole| whole.saturating_sub(clock)));
        if let Some([p50, p99, p999]) = rounds.last() {
            println!(
                "{name:<10}  p50 {p50:>5} ns  p99 {p99:>5} ns  p99.9 {p999:>5} ns  (clock {clock} ns taken off)"
            );
        }
    }
    let median = |of: fn(&[u64; 3]) -> u64| {
        let mut values: Vec<u64> = rounds.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let (p50, p99, p999) = (median(|r| r[0]), median(|r| r[1]), median(|r| r[2]));
    println!(
        "{name:<10}  p50 {p50:>5} ns  p99 {p99:>5} ns  p99.9 {p999:>5} ns  median of {ROUNDS}"
    );
    Ok(())
}

fn time<T>(work: impl FnOnce() -> T) -> u64 {
    let began = Instant::now();
    let result = black_box(work());
    let taken = began.elapsed();
    drop(result);
    u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX)
}

const ROUNDS: usize = 5;

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
