//! What the harness says on the command line.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use gitpod_benches::Error;

pub(crate) struct Flags {
    pub(crate) addr: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) tls: Option<Tls>,
    pub(crate) routes: PathBuf,
    pub(crate) domain: String,
}

pub(crate) struct Tls {
    pub(crate) addr: SocketAddr,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Flags {
    /// # Errors
    ///
    /// If a flag is missing, is none of ours, or has no value that can be understood.
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Result<Self, Error> {
        let mut given = pairs(args)?;
        let mut take = |name: &str| given.remove(name).ok_or(format!("--{name} is missing"));
        let tls = match (take("tls"), take("cert"), take("key")) {
            (Ok(addr), cert, key) => Some(Tls {
                addr: addr.parse()?,
                cert: cert?.into(),
                key: key?.into(),
            }),
            (Err(_), ..) => None,
        };
        let flags = Self {
            addr: take("addr")?.parse()?,
            admin: take("admin").ok().map(|addr| addr.parse()).transpose()?,
            tls,
            routes: take("routes")?.into(),
            domain: take("domain").unwrap_or_else(|_| DOMAIN.to_owned()),
        };
        match given.into_keys().next() {
            Some(name) => Err(format!("--{name} is no flag of this program").into()),
            None => Ok(flags),
        }
    }
}

/// `--name value`, each once.
fn pairs(mut args: impl Iterator<Item = String>) -> Result<HashMap<String, String>, Error> {
    let mut given = HashMap::new();
    while let Some(flag) = args.next() {
        let name = flag
            .strip_prefix("--")
            .ok_or(format!("{flag} is no flag"))?;
        let value = args.next().ok_or(format!("{flag} has no value"))?;
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}

const DOMAIN: &str = "ws.eu.example.test";
