//! Workspace status streams into a database, announced exactly as often as they change.
