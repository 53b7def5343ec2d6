//! Runs inside a workspace: tasks, listening ports, status endpoints, the workspace's page.
