//! The whole proxy on one core, to be measured beside other proxies that do the same job.
//!
//! ```sh
//! harness_proxy --addr 127.0.0.1:8091 --tls 127.0.0.1:8451 --cert FILE --key FILE \
//!     --routes FILE --admin 127.0.0.1:8191
//! ```
//!
//! The file of routes has lines `id ip token`; each such line that is sent to `--admin` is a
//! workspace more, and is answered with `ok`. `<id>.DOMAIN` leads to port 9000 of `ip`,
//! `<port>-<id>.DOMAIN` to that port; the cookie `owner` has to be the token. `--domain` is
//! `ws.eu.example.test` unless it is given.
//!
//! Nothing is left out of what `gitpod-routing` checks, nor of the limits that the programs of
//! this repository set; see `benches/README.md`.

#![allow(clippy::print_stderr, reason = "a program for people")]

mod flags;
mod routes;
mod serve;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use gitpod_benches::Error;
use gitpod_routing::{
    AccessPolicy, CookieNames, DirectConnector, HostPattern, PodPorts, Scheme, WorkspaceProxy,
};

use self::flags::Flags;
use self::routes::Routes;

/// What the shipped programs allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One core is what a peer has, so there is one thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let end = runtime
        .map_err(Error::from)
        .and_then(|runtime| runtime.block_on(run()));
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("harness_proxy: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is ended.
async fn run() -> Result<(), Error> {
    let flags = Flags::read(std::env::args().skip(1))?;
    let routes = Routes::read(&flags.routes)?;
    let plain = proxy(&flags, &routes, Scheme::Http, flags.addr)?;
    let listener = serve::listen(flags.addr)?;
    if let Some(address) = flags.admin {
        tokio::spawn(routes.clone().admit(serve::listen(address)?));
    }
    if let Some(tls) = &flags.tls {
        let acceptor = serve::acceptor(&tls.cert, &tls.key)?;
        let secure = proxy(&flags, &routes, Scheme::Https, tls.addr)?;
        tokio::spawn(serve::over_tls(serve::listen(tls.addr)?, acceptor, secure));
    }
    serve::in_the_clear(listener, plain).await;
    Ok(())
}

/// The stack, for clients that come to `address`.
fn proxy(
    flags: &Flags,
    routes: &Routes,
    scheme: Scheme,
    address: SocketAddr,
) -> Result<WorkspaceProxy, Error> {
    let pattern = HostPattern::new(&flags.domain)?;
    let cookies = CookieNames::new(&flags.domain).with_owner_cookie(COOKIE);
    let policy = AccessPolicy::new(pattern.clone(), &flags.domain).with_cookies(cookies);
    let mut ports = PodPorts::new();
    ports.ide = EDITOR;
    // Every address of the harness is one of this machine.
    let connector = DirectConnector::new()
        .with_ports(ports)
        .with_loopback_allowed();
    Ok(WorkspaceProxy::new(pattern, Arc::new(routes.workspaces()))
        .with_policy(policy)
        .with_connector(Arc::new(connector))
        .with_forward(|options| options.with_public_address(scheme, address.port())))
}

/// What the harness calls the cookie with the token.
const COOKIE: &str = "owner";

/// Where the harness has what `<id>.DOMAIN` leads to.
const EDITOR: u16 = 9000;
