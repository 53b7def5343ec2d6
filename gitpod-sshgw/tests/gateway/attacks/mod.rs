//! What strangers, users and workspaces may try. Each test has the number of its class.

mod channels;
mod login;
mod strangers;
mod workspace;
