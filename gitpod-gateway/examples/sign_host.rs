//! An authority, the certificate of one host, and whom it convinces.
//!
//! ```sh
//! cargo run -p gitpod-gateway --example sign_host
//! ```
//!
//! prints
//!
//! ```text
//! authority  565149… may sign for [environment, proxy] in 10.128.0.0/16
//! env-1      10.128.1.1/16 until 2026-11-22T12:00:00Z: trusted
//! a day on   certificate has expired
//! admin      group "admin" is not one of the authority's
//! ```
#![allow(dead_code, reason = "a test includes this file, and calls `run`")]

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use gitpod_gateway::{
    Authority, AuthorityRequest, HostKey, HostRequest, MemorySigner, SigningKey, TrustBundle,
};
use jiff::{SignedDuration, Timestamp};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

/// Fixed keys and times, so that the output is always the same: yours come from
/// `generate()` and `Timestamp::now()`.
pub(crate) async fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse()?;
    let signer = MemorySigner::new(SigningKey::from_seed(&[1; 32]));
    let request = AuthorityRequest::new("example authority")
        .with_networks(["10.128.0.0/16".parse()?])
        .with_groups(["environment", "proxy"]);
    let authority = Authority::create(request, Arc::new(signer), now).await?;
    let fingerprint = authority.certificate().fingerprint().to_string();
    let (start, _) = fingerprint.split_at(6);
    writeln!(
        out,
        "authority  {start}… may sign for [environment, proxy] in 10.128.0.0/16"
    )?;

    let key = HostKey::from_bytes(&[2; 32]);
    let request = HostRequest::new("env-1", key.public_key(), "10.128.1.1/16".parse()?)
        .with_groups(["environment"])
        .valid_for(Duration::from_secs(24 * 60 * 60));
    let certificate = authority.sign(request.clone(), now).await?;

    let trusted = TrustBundle::from_pem(&authority.certificate().to_pem())?;
    let details = trusted.verify(&certificate, now)?.details();
    let network = details.networks.first().ok_or("no network")?;
    writeln!(
        out,
        "{}      {network} until {}: trusted",
        details.name, details.not_after
    )?;

    let tomorrow = now.checked_add(SignedDuration::from_hours(25))?;
    if let Err(why) = trusted.verify(&certificate, tomorrow) {
        writeln!(out, "a day on   {why}")?;
    }
    if let Err(why) = authority.sign(request.with_groups(["admin"]), now).await {
        writeln!(
            out,
            "admin      {}",
            why.source().map_or_else(String::new, ToString::to_string)
        )?;
    }
    Ok(())
}
