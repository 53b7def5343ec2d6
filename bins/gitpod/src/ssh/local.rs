//! What the command line and the gateway of a running `up` say to each other.
//!
//! Generated from `proto/gitpod/local/ssh/v1/ssh.proto`; a test of `xtask` compares.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::str_to_string,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    reason = "generated"
)]

include!("generated/gitpod.local.ssh.v1.rs");

impl From<&super::UserKey> for Key {
    fn from(key: &super::UserKey) -> Self {
        Self {
            fingerprint: key.fingerprint(),
            r#type: key.kind(),
            comment: key.comment().to_owned(),
            line: key.line().to_owned(),
        }
    }
}
