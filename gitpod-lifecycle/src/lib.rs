//! Phases, conditions and timeouts of workspaces: a pure core, and adapters that run it.
