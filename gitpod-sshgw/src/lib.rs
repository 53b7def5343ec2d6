//! Login names and authentication of an SSH gateway to workspaces.
