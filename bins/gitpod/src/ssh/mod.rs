//! What `up` and the commands both need to know of SSH.

mod dir;
mod endpoint;
mod host_block;
pub(crate) mod local;
mod quote;
mod user_key;

pub(crate) use self::dir::SshDir;
pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::host_block::{SUFFIX, host_block};
pub(crate) use self::quote::{UnquotablePath, config_path, include_pattern, shell_word};
pub(crate) use self::user_key::{KeyRefusal, UserKey, read_lines};

/// The name that clients of this user know the gateway by, whatever port it has.
pub(crate) const HOST_KEY_ALIAS: &str = "gitpod";
