//! Steps of the gate (`.ci/run`) that are more than one command.

pub(crate) mod deny;
pub(crate) mod features;
pub(crate) mod first_command;
pub(crate) mod fuzz;
