//! Certificates of a Nebula overlay network between gateways and workspaces.
