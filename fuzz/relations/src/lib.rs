//! What must hold for every input of our parsers.
//!
//! Each function takes any bytes and panics if its relation does not hold for
//! them. A fuzz target calls the function of the same name; `tests/corpus.rs` calls
//! it for every file of its corpus.

#![expect(
    clippy::missing_panics_doc,
    reason = "to panic is what these functions are for"
)]

mod certificate;
mod duration;
mod host;
mod login_name;
mod ssh_before_login;
mod yml;

pub use self::certificate::{certificate, certificate_pem};
pub use self::duration::go_duration;
pub use self::host::{host, host_round_trip};
pub use self::login_name::login_name;
pub use self::ssh_before_login::ssh_before_login;
pub use self::yml::gitpod_yml;
