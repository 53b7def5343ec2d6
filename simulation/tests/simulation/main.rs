//! The whole system on a network that misbehaves: a manager, a proxy, a bridge, pods whose
//! addresses go from one workspace to the next, and visitors, all in one thread and on one
//! clock that a seed drives. `docs/reliability.md` says what is promised of it.
//!
//! A seed that fails is printed with the command that repeats it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod admin;
mod cut;
mod every_offset;
mod fate;
mod hosts;
mod judge;
mod kept;
mod platform;
mod reach;
mod scenario;
mod seeds;
mod visitor;
mod wire;

use scenario::Scenario;
use seeds::each_seed;

#[test]
fn attack_11_nobody_gets_a_wrong_answer_and_no_stop_is_lost_whatever_breaks() {
    each_seed("nobody_gets_a_wrong_answer", 24, |seed| {
        Scenario::new(seed).run().map(|told| {
            assert!(told.answers > 0, "no visitor was ever answered");
        })
    });
}

#[test]
fn attack_11_connections_that_do_not_ask_who_is_there_are_found_out() {
    let found = (1..=30).any(|seed| {
        let told = Scenario::new(seed).with_gullible_proxy().run();
        told.is_err_and(|why| why.contains("another workspace"))
    });
    assert!(found, "the simulation does not see what it is there to see");
}
