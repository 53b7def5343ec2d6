//! What messages with a token or a password print: `***` in its place.

use std::fmt::{Debug, Formatter, Result};

use super::generated::{contentservice, wsman};

/// `***`, or nothing if there is nothing to hide.
struct Hidden<'a>(&'a str);

impl Debug for Hidden<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}

impl Debug for wsman::StartWorkspaceResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("StartWorkspaceResponse")
            .field("url", &self.url)
            .field("owner_token", &Hidden(&self.owner_token))
            .finish()
    }
}

impl Debug for wsman::WorkspaceAuthentication {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("WorkspaceAuthentication")
            .field("admission", &self.admission())
            .field("owner_token", &Hidden(&self.owner_token))
            .finish()
    }
}

impl Debug for wsman::EnvironmentVariable {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("EnvironmentVariable")
            .field("name", &self.name)
            .field("value", &Hidden(&self.value))
            .field("secret", &self.secret)
            .finish()
    }
}

impl Debug for wsman::environment_variable::SecretKeyRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SecretKeyRef")
            .field("secret_name", &self.secret_name)
            .field("key", &self.key)
            .finish()
    }
}

impl Debug for contentservice::GitConfig {
    /// Shows the keys of its settings only: values may be credentials too.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let keys: Vec<&String> = self.custom_config.keys().collect();
        f.debug_struct("GitConfig")
            .field("custom_config", &keys)
            .field("authentication", &self.authentication())
            .field("auth_user", &Hidden(&self.auth_user))
            .field("auth_password", &Hidden(&self.auth_password))
            .field("auth_ots", &Hidden(&self.auth_ots))
            .finish()
    }
}
