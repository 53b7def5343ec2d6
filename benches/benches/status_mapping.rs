//! What one status costs before the database is asked: order, digest, mapping, plan.
#![allow(
    missing_docs,
    unused_qualifications,
    clippy::exit,
    clippy::unwrap_used,
    reason = "a benchmark is no interface, and may fail; its macros qualify what needs it not"
)]

use std::hint::black_box;

use gitpod_bridge::{InstanceRow, InstanceState, Origin, Plan, plan};
use gitpod_lifecycle::{StatusUpdate, UpdateBool, UpdatePhase, UpdatePort, UpdateRuntime};
use gungraun::{library_benchmark, library_benchmark_group, main};
use jiff::Timestamp;

/// A row, a status for it, and who reports it.
type Delivery = (InstanceRow, StatusUpdate, Origin);

fn pending() -> InstanceRow {
    let id = "run-1".parse().unwrap();
    let workspace = "pink-panda-ns35kd21".parse().unwrap();
    InstanceRow::new(id, workspace, "eu01", Timestamp::UNIX_EPOCH).with_owner("u1")
}

/// As the reference manager sends it for a workspace with three ports.
fn running() -> StatusUpdate {
    let mut status = StatusUpdate::new("run-1", UpdatePhase::Running);
    status.status_version = 7;
    status.metadata.owner = "u1".to_owned();
    status.metadata.meta_id = "pink-panda-ns35kd21".to_owned();
    status.spec.url = "https://pink-panda-ns35kd21.ws.example.com".to_owned();
    status.spec.timeout = "30m".to_owned();
    let port = |port| {
        UpdatePort::new(
            port,
            format!("https://{port}-pink-panda-ns35kd21.ws.example.com"),
        )
    };
    status.spec.exposed_ports = [3000, 5432, 8080].map(port).into();
    status.runtime = Some(UpdateRuntime::new("node-1", "ws-run-1", "10.0.0.7"));
    status.conditions.deployed = UpdateBool::True;
    status
}

fn first_run() -> Delivery {
    (pending(), running(), Origin::new("eu01"))
}

fn taken() -> InstanceRow {
    let (row, status, origin) = first_run();
    match plan(Some(&row), &status, Timestamp::UNIX_EPOCH, &origin).change {
        Some(state) => row.with_state(InstanceState::clone(&state)),
        None => row,
    }
}

fn duplicate() -> Delivery {
    (taken(), running(), Origin::new("eu01"))
}

fn same_content() -> Delivery {
    let mut status = running();
    status.status_version += 1;
    (taken(), status, Origin::new("eu01"))
}

#[library_benchmark]
#[bench::newer(first_run())]
#[bench::repeated(duplicate())]
#[bench::unchanged(same_content())]
fn one_status(delivery: Delivery) -> (Delivery, Plan) {
    let (row, status, origin) = &delivery;
    let plan = plan(
        black_box(Some(row)),
        black_box(status),
        Timestamp::UNIX_EPOCH,
        origin,
    );
    (delivery, black_box(plan))
}

library_benchmark_group!(name = status_mapping, benchmarks = one_status);
main!(library_benchmark_groups = status_mapping);
