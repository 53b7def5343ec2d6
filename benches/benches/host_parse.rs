//! Reading a hostname, and writing one.
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

use gitpod_routing::{HostError, HostName, HostPattern};
use gungraun::{library_benchmark, library_benchmark_group, main};

fn pattern() -> HostPattern {
    HostPattern::new("ws.example.com").unwrap()
}

#[library_benchmark(setup = with_pattern)]
#[bench::editor("pink-panda-ns35kd21.ws.example.com")]
#[bench::port("8080-pink-panda-ns35kd21.ws.example.com:443")]
#[bench::uuid("3000-debug-3f2a9c10-5b7d-4e1a-9c44-0a1b2c3d4e5f.ws.example.com")]
#[bench::unknown("www.example.org")]
fn parse((pattern, host): (HostPattern, &str)) -> Result<HostName, HostError> {
    black_box(pattern.parse(black_box(host)))
}

/// Once before: the first search for a letter also asks what the processor can do.
fn with_pattern(host: &str) -> (HostPattern, &str) {
    let pattern = pattern();
    let _warm = pattern.parse(host);
    (pattern, host)
}

#[library_benchmark(setup = parsed)]
#[bench::port("8080-pink-panda-ns35kd21.ws.example.com")]
fn build((pattern, name): (HostPattern, HostName)) -> String {
    black_box(pattern.build(black_box(&name)))
}

fn parsed(host: &str) -> (HostPattern, HostName) {
    (pattern(), pattern().parse(host).unwrap())
}

library_benchmark_group!(name = host, benchmarks = [parse, build]);
main!(library_benchmark_groups = host);
