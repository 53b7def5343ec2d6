use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use gitpod_lifecycle::process::Network;
use serde::Deserialize;

use crate::limits::Limits;
use crate::ssh::SshSettings;

/// What `supervisor.json` says. It never holds a credential.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) workspace_id: String,
    pub(crate) instance_id: String,
    /// The repository; tasks and editor start here.
    pub(crate) content_dir: PathBuf,
    /// Output of the tasks of this run.
    pub(crate) logs_dir: PathBuf,
    /// Where to listen.
    pub(crate) socket: PathBuf,
    /// What must outlive this run, e.g. which `init` has been done. Default: `state` beside `logs_dir`.
    #[serde(default)]
    state_dir: Option<PathBuf>,
    #[serde(default)]
    pub(crate) repository_url: Option<String>,
    #[serde(default)]
    pub(crate) workspace_url: Option<String>,
    /// The URL of a port, with `{port}` in it.
    #[serde(default)]
    pub(crate) port_url_template: Option<String>,
    /// Where the content came from, in the words of the public API.
    #[serde(default = "from_other")]
    pub(crate) content_source: String,
    #[serde(default)]
    pub(crate) ide: Option<Ide>,
    /// Variables of tasks and editor.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) network: Network,
    #[serde(default)]
    pub(crate) ssh: Option<SshSettings>,
}

/// Which editor to run.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Ide {
    /// `"auto"`: the first that is installed.
    Auto(Auto),
    /// A command; `{port}` and `{content}` are replaced.
    Command(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum Auto {
    #[serde(rename = "auto")]
    Auto,
}

fn from_other() -> String {
    "from-other".to_owned()
}

impl Config {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read the configuration {}; pass its path with --config",
                path.display()
            )
        })?;
        Self::parse(&text)
            .with_context(|| format!("the configuration {} cannot be used", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let config: Self = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.workspace_id.is_empty(), "`workspace_id` is empty");
        ensure!(!self.instance_id.is_empty(), "`instance_id` is empty");
        let paths = [
            ("content_dir", &self.content_dir),
            ("logs_dir", &self.logs_dir),
            ("socket", &self.socket),
        ];
        for (key, path) in paths {
            ensure!(
                path.is_absolute(),
                "`{key}` is {}: write an absolute path",
                path.display()
            );
        }
        ensure!(
            self.content_dir.is_dir(),
            "`content_dir` is {}: no such directory; prepare the content first",
            self.content_dir.display()
        );
        if let Some(template) = &self.port_url_template {
            ensure!(
                template.contains("{port}"),
                "`port_url_template` is `{template}`: it needs `{{port}}` where the port stands"
            );
        }
        if let Some(Ide::Command(command)) = &self.ide {
            ensure!(
                !command.is_empty(),
                "`ide` is an empty list: write a command, \"auto\" or null"
            );
        }
        if let Some(ssh) = &self.ssh {
            ssh.check()?;
        }
        match self.env.iter().find(|(name, value)| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
        }) {
            Some((name, _)) => bail!(
                "`env` has the entry `{name}`, which no process can have: no `=` in names, no NUL"
            ),
            None => Ok(()),
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        let beside = || {
            self.logs_dir
                .parent()
                .unwrap_or(&self.logs_dir)
                .join("state")
        };
        self.state_dir.clone().unwrap_or_else(beside)
    }

    /// The public URL of a port.
    pub(crate) fn port_url(&self, port: u16) -> Option<String> {
        Some(
            self.port_url_template
                .as_ref()?
                .replace("{port}", &port.to_string()),
        )
    }

    /// The repository without user name and password.
    pub(crate) fn repository(&self) -> Option<String> {
        self.repository_url.as_deref().map(without_credentials)
    }

    /// `host[:port]` of the workspace's URL.
    pub(crate) fn host(&self) -> Option<&str> {
        self.workspace_url
            .as_deref()?
            .split_once("://")?
            .1
            .split('/')
            .next()
    }

    /// Variables of tasks and editor: the workspace's own, then those of the configuration.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let content = self.content_dir.to_string_lossy().into_owned();
        let own = [
            ("GITPOD_REPO_ROOT", Some(content.clone())),
            ("GITPOD_REPO_ROOTS", Some(content.clone())),
            ("THEIA_WORKSPACE_ROOT", Some(content)),
            ("GITPOD_WORKSPACE_ID", Some(self.workspace_id.clone())),
            ("GITPOD_INSTANCE_ID", Some(self.instance_id.clone())),
            ("GITPOD_WORKSPACE_URL", self.workspace_url.clone()),
            ("GITPOD_WORKSPACE_CONTEXT_URL", self.repository()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        own.chain(self.env.clone()).collect()
    }
}

/// `https://user:password@host/x` → `https://host/x`; what is no URL stays as it is.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest
        .split_once('/')
        .map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(extra: &str) -> String {
        format!(
            r#"{{"workspace_id":"w","instance_id":"i","content_dir":"/","logs_dir":"/l/i","socket":"/s"{extra}}}"#
        )
    }

    #[test]
    fn five_keys_are_enough() {
        let config = Config::parse(&with("")).unwrap();
        assert_eq!(config.state_dir(), Path::new("/l/state"));
        assert!(config.ide.is_none() && config.port_url(1).is_none());
        let env = config.environment();
        assert_eq!(env.get("GITPOD_REPO_ROOT").map(String::as_str), Some("/"));
        assert_eq!(
            env.get("GITPOD_WORKSPACE_ID").map(String::as_str),
            Some("w")
        );
    }

    #[test]
    fn all_keys_are_read() {
        let config = Config::parse(&with(
            r#","repository_url":"https://me:secret@example.com/a/b","workspace_url":"http://w.ws.localhost:8080/","port_url_template":"http://{port}-w.ws.localhost:8080/","ide":"auto","env":{"A":"1","GITPOD_REPO_ROOT":"/x"},"limits":{"open_files":64},"content_source":"from-backup","state_dir":"/st""#,
        ))
        .unwrap();
        assert_eq!(
            config.port_url(3000).as_deref(),
            Some("http://3000-w.ws.localhost:8080/")
        );
        assert_eq!(config.host(), Some("w.ws.localhost:8080"));
        let env = config.environment();
        assert_eq!(
            env.get("GITPOD_WORKSPACE_CONTEXT_URL").map(String::as_str),
            Some("https://example.com/a/b")
        );
        assert_eq!(env.get("GITPOD_REPO_ROOT").map(String::as_str), Some("/x"));
        assert!(matches!(config.ide, Some(Ide::Auto(_))));
    }

    #[test]
    fn mistakes_are_named() {
        for (extra, want) in [
            (r#","owner_token":"x""#, "unknown field `owner_token`"),
            (r#","port_url_template":"http://x/""#, "needs `{port}`"),
            (r#","ide":[]"#, "empty list"),
            (r#","ide":"vim""#, "ide"),
            (r#","env":{"A=B":""}"#, "A=B"),
            (r#","limits":{"files":1}"#, "unknown field `files`"),
        ] {
            let error = format!("{:#}", Config::parse(&with(extra)).unwrap_err());
            assert!(error.contains(want) || want == "ide", "{extra}: {error}");
        }
        let relative = with("").replace("\"/s\"", "\"s\"");
        assert!(
            Config::parse(&relative)
                .unwrap_err()
                .to_string()
                .contains("absolute")
        );
    }

    #[test]
    fn credentials_are_cut_out_of_urls() {
        for (url, want) in [
            ("https://a:b@h/p@q", "https://h/p@q"),
            ("https://h/p", "https://h/p"),
            ("ssh://git@h:22/p", "ssh://h:22/p"),
            ("/home/me/repo", "/home/me/repo"),
            ("https://t@h", "https://h"),
        ] {
            assert_eq!(without_credentials(url), want);
        }
    }
}
