//! What a host keeps: its keys, and what it was last told.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gitpod_gateway::{ConfigBundle, HostKey, SigningKey};
use serde::{Deserialize, Serialize};

/// The private keys of this host. They never leave it.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Of its certificate.
    pub(crate) host: HostKey,
    /// Of its requests.
    pub(crate) request: SigningKey,
}

impl Keys {
    /// Those in `dir`; new ones, if there are none.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let (host, request) = (dir.join("host.key"), dir.join("request.key"));
        let place = |file: &Path| format!("cannot use the key in {}", file.display());
        Ok(Self {
            host: match read(&host)? {
                Some(text) => HostKey::from_pem(&text).with_context(|| place(&host))?,
                None => {
                    let key = HostKey::generate()?;
                    replace(&host, key.to_pem().as_bytes())?;
                    key
                }
            },
            request: match read(&request)? {
                Some(text) => SigningKey::from_pem(&text).with_context(|| place(&request))?,
                None => {
                    let key = SigningKey::generate()?;
                    replace(&request, key.to_pem().as_bytes())?;
                    key
                }
            },
        })
    }

    /// New ones in their place: of a host that was blocked the old ones are worth nothing.
    pub(crate) fn renew(dir: &Path) -> anyhow::Result<Self> {
        for name in ["host.key", "request.key", MEMBERSHIP] {
            match std::fs::remove_file(dir.join(name)) {
                Err(why) if why.kind() != ErrorKind::NotFound => {
                    return Err(why).with_context(|| format!("cannot remove {name}"));
                }
                _ => {}
            }
        }
        Self::open(dir)
    }
}

/// What the server has last told this host.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Membership {
    pub(crate) certificate: String,
    pub(crate) bundle: ConfigBundle,
    /// Hash of the token that it has joined with.
    pub(crate) joined_with: String,
}

const MEMBERSHIP: &str = "membership.json";

impl Membership {
    /// What was kept in `dir`; `None` if the host has not joined.
    pub(crate) fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        let file = dir.join(MEMBERSHIP);
        let text = read(&file)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .with_context(|| format!("cannot use {}; remove it to join anew", file.display()))
    }

    pub(crate) fn store(&self, dir: &Path) -> anyhow::Result<()> {
        replace(&dir.join(MEMBERSHIP), &serde_json::to_vec_pretty(self)?)
    }
}

fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Of mode 0600, and whole at every moment.
pub(crate) fn replace(file: &Path, text: &[u8]) -> anyhow::Result<()> {
    let new = beside(file);
    write_private(&new, text)?;
    std::fs::rename(&new, file).with_context(|| format!("cannot write {}", file.display()))
}

/// Where a file is written before it takes its place.
pub(crate) fn beside(file: &Path) -> PathBuf {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    new.into()
}

pub(crate) fn write_private(file: &Path, text: &[u8]) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", file.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(file).with_context(place)?;
    opened.write_all(text).with_context(place)?;
    opened.sync_all().with_context(place)
}
