//! One request through the whole stack to a null workspace, and through the stages alone.
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

use bytes::Bytes;
use gitpod_benches::{Nothing, Stages, exchange, nothing, proxy, request, stages};
use gitpod_routing::WorkspaceProxy;
use gungraun::{library_benchmark, library_benchmark_group, main};
use http::Request;
use http_body_util::Empty;
use tokio::runtime::{Builder, Runtime};

type Ready<S> = (Runtime, S, Request<Empty<Bytes>>);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[library_benchmark(setup = warm_proxy)]
fn whole((runtime, mut proxy, request): Ready<WorkspaceProxy>) -> (Runtime, WorkspaceProxy) {
    let status = runtime.block_on(exchange(&mut proxy, black_box(request)));
    assert_eq!(status.unwrap(), 200);
    (runtime, proxy) // given back, so that freeing them is not measured
}

/// With a connection in the pool, as most requests find one.
fn warm_proxy() -> Ready<WorkspaceProxy> {
    let (runtime, mut proxy) = (runtime(), proxy().unwrap());
    runtime
        .block_on(exchange(&mut proxy, request().unwrap()))
        .unwrap();
    (runtime, proxy, request().unwrap())
}

#[library_benchmark(setup = warm_stages)]
fn stages_alone((runtime, mut stages, request): Ready<Stages>) -> (Runtime, Stages) {
    let status = runtime.block_on(exchange(&mut stages, black_box(request)));
    assert_eq!(status.unwrap(), 200);
    (runtime, stages)
}

fn warm_stages() -> Ready<Stages> {
    let (runtime, mut stages) = (runtime(), stages().unwrap());
    runtime
        .block_on(exchange(&mut stages, request().unwrap()))
        .unwrap();
    (runtime, stages, request().unwrap())
}

#[library_benchmark(setup = warm_nothing)]
fn nothing_alone((runtime, mut leaf, request): Ready<Nothing>) -> (Runtime, Nothing) {
    let status = runtime.block_on(exchange(&mut leaf, black_box(request)));
    assert_eq!(status.unwrap(), 200);
    (runtime, leaf)
}

fn warm_nothing() -> Ready<Nothing> {
    let (runtime, mut leaf) = (runtime(), nothing());
    runtime
        .block_on(exchange(&mut leaf, request().unwrap()))
        .unwrap();
    (runtime, leaf, request().unwrap())
}

library_benchmark_group!(
    name = stack,
    benchmarks = [whole, stages_alone, nothing_alone]
);
main!(library_benchmark_groups = stack);
