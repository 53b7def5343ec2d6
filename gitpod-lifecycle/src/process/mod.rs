//! Local processes as workspaces.

pub mod listeners;
pub mod tree;
