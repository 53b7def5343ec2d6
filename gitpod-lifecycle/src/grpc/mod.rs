//! wsman.WorkspaceManager over gRPC. (Engineer M writes this directory and proto/; L: leave both alone.)
