//! What the command line and a running `up` say to each other.
//!
//! Generated from `proto/gitpod/local/v1/workspaces.proto`; a test of `xtask`
//! compares.

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

include!("generated/gitpod.local.v1.rs");

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // By hand, so that the owner token is not shown.
        f.debug_struct("Workspace")
            .field("id", &self.id)
            .field("instance_id", &self.instance_id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
