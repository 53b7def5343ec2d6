//! Stages are for the crate's own layers to make.

use gitpod_routing::{Permit, Routed};
use http::Request;

fn keep(permit: &Permit, request: Request<String>) -> Routed<Permit, String> {
    unimplemented!("{:?} {:?}", permit.access(), request.uri())
}

fn main() {
    let _keep = keep;
}
