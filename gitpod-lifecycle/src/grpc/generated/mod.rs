//! What the `.proto` files make. A test of `xtask` compares, and makes it anew.

#![allow(
    missing_docs,
    unnameable_types,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    clippy::str_to_string,
    reason = "generated"
)]

#[rustfmt::skip]
pub mod contentservice;
#[rustfmt::skip]
pub mod wsman;
