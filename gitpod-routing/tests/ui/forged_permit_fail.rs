//! A permit for one request is used for another.

use gitpod_routing::{Permit, Routed};
use http::Request;

fn keep(permit: &Permit, request: Request<String>) -> Routed<Permit, String> {
    Routed::new(permit.clone(), Box::new(request))
}

fn main() {
    let _keep = keep;
}
