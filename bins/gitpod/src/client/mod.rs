//! The commands that ask a running `up`.

mod connect;
mod delete;
mod describe;
mod list;
mod logs;
mod ssh;
mod ssh_config;
mod ssh_key;
mod ssh_stdio;
mod start;
mod stop;
mod table;
mod view;

pub(crate) use self::delete::delete;
pub(crate) use self::describe::describe;
pub(crate) use self::list::list;
pub(crate) use self::logs::logs;
pub(crate) use self::ssh::ssh;
pub(crate) use self::ssh_config::ssh_config;
pub(crate) use self::ssh_key::ssh_key;
pub(crate) use self::start::start;
pub(crate) use self::stop::stop;
pub(crate) use self::view::WorkspaceView;
