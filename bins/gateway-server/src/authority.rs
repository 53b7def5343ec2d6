//! The authority in the state directory: made at the first start, kept for its life.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use gitpod_gateway::{
    Authority, AuthorityRequest, Certificate, HostKind, MemorySigner, SigningKey,
};
use jiff::Timestamp;

use crate::config::Config;

const KEY: &str = "ca.key";
const CERTIFICATE: &str = "ca.crt";

/// The authority in `dir`. If there is none yet, it is made, bounded to the network and the kinds of hosts.
pub(crate) async fn open(dir: &Path, config: &Config, now: Timestamp) -> anyhow::Result<Authority> {
    let (key_file, certificate_file) = (dir.join(KEY), dir.join(CERTIFICATE));
    let key = match std::fs::read_to_string(&key_file) {
        Ok(text) => SigningKey::from_pem(&text)
            .with_context(|| format!("cannot use the key in {}", key_file.display()))?,
        Err(why) if why.kind() == ErrorKind::NotFound => new_key(&key_file)?,
        Err(why) => return Err(why).with_context(|| format!("cannot read {}", key_file.display())),
    };
    let signer = Arc::new(MemorySigner::new(key));
    let place = || {
        format!(
            "cannot use the certificate in {}",
            certificate_file.display()
        )
    };
    let authority = match std::fs::read_to_string(&certificate_file) {
        Ok(text) => Authority::new(Certificate::from_pem(&text).with_context(place)?, signer)
            .with_context(place)?,
        Err(why) if why.kind() == ErrorKind::NotFound => {
            let request = AuthorityRequest::new(&config.network.name)
                .with_networks([config.network.addresses])
                .with_groups(HostKind::ALL.map(HostKind::as_str))
                .valid_for(config.authority_lifetime);
            let authority = Authority::create(request, signer, now).await?;
            write(&certificate_file, &authority.certificate().to_pem())?;
            tracing::info!(fingerprint = %authority.certificate().fingerprint(), "made the authority of the network");
            authority
        }
        Err(why) => return Err(why).with_context(place),
    };
    check(&authority, config, now)?;
    Ok(authority)
}

/// What the authority may sign is written in it once and for all.
fn check(authority: &Authority, config: &Config, now: Timestamp) -> anyhow::Result<()> {
    let details = authority.certificate().details();
    let network = config.network.addresses;
    if !details.networks.iter().any(|own| own.contains(network)) {
        bail!(
            "network.cidr is {network}, but the authority in {} is for other addresses; write those, or begin a \
             new network with another stateDir",
            config.state_dir.display()
        );
    }
    if details.not_after < now {
        bail!(
            "the authority of the network has expired; begin a new network with another stateDir"
        );
    }
    Ok(())
}

/// The key is on the disk before anything is signed with it.
fn new_key(file: &Path) -> anyhow::Result<SigningKey> {
    let key = SigningKey::generate()?;
    write(file, &key.to_pem())?;
    Ok(key)
}

/// Of mode 0600, and never over another one.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", file.display());
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let mut written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(place)?;
    written.write_all(text.as_bytes()).with_context(place)?;
    written.sync_all().with_context(place)?;
    std::fs::hard_link(&new, file).with_context(place)?;
    std::fs::remove_file(&new).with_context(place)
}
