//! Where the concrete parts meet.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use bytes::Bytes;
use gitpod_lifecycle::grpc::{RemoteActivity, RemoteWorkspaces, client};
use gitpod_lifecycle::process::{Layout, LocalConnector};
use gitpod_routing::layers::OwnPathsLayer;
use gitpod_routing::{AccessPolicy, BoxError, HostSource, RustlsClient, WorkspaceProxy};
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use support::dial;
use support::limits::Limit;
use support::listen::Listener;
use support::ops::{Health, Metrics, Operations};
use support::serve::Server;
use support::tls::{self, ClientTls, ServerTls};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::config::{Config, ManagerAddress, Plain, Workspaces};
use crate::redirect::to_tls;

/// Serves until `stop`, then lets requests finish.
///
/// # Errors
///
/// If something cannot be had: a file, a port, or what this version does not do.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    // Everything that can be refused is refused before a port is bound.
    let parts = Parts::open(config)?;
    let metrics = Metrics::start()?;
    let http = Listener::bind("HTTP", &parts.config.http).await?;
    let https = match &parts.tls {
        Some(_) => Some(Listener::bind("HTTPS", &parts.config.https).await?),
        None => None,
    };
    let workspaces = follow(&parts);
    serve_operations(&parts, metrics, &workspaces, &stop).await?;

    let proxy = proxy(&parts, workspaces)?;
    parts.config.limits.show(Limit::of_servers());
    let server = Server::with_limits(&parts.config.limits).with_drain(parts.config.drain);
    let plain = serve_plain(&parts, server.clone(), http, proxy.clone(), stop.clone());
    let secure = async {
        if let (Some(listener), Some(tls)) = (https, parts.tls.clone()) {
            // A certificate that is renewed counts without a restart.
            let server = server.with_tls(Some(tls.reloading(stop.clone())));
            server.serve(listener, proxy, stop.clone()).await;
        }
    };
    tokio::join!(plain, secure);
    Ok(())
}

/// What is read from files, and could be refused.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts {
    config: Config,
    manager: ManagerAddress,
    manager_tls: Option<ClientTls>,
    state_dir: PathBuf,
    plain: Plain,
    tls: Option<ServerTls>,
}

impl Parts {
    /// Opens what `config` names.
    ///
    /// # Errors
    ///
    /// If a file cannot be used, or this version does not do what is configured.
    pub fn open(config: Config) -> anyhow::Result<Self> {
        let Workspaces::Local { state_dir, plain } = config.workspaces.clone() else {
            bail!(
                "local.stateDir is missing: this version reaches workspaces that are local processes, not yet \
                 Kubernetes' pods; write the stateDir of a ws-manager on this machine"
            );
        };
        let Some(manager) = config.manager.clone() else {
            bail!(
                "wsManager.addr is missing: nobody says which workspaces there are; write the rpcServer.addr of a ws-manager"
            );
        };
        let manager_tls = manager.tls.clone();
        let manager_tls = manager_tls
            .map(|files| ClientTls::open(files, MANAGER))
            .transpose()?;
        let tls = config
            .certificate
            .clone()
            .map(ServerTls::open)
            .transpose()?;
        if tls.is_none() && plain == Plain::Redirected {
            bail!(
                "proxy.https.crt is missing: there is nothing to serve with; write crt and key, or set local.http \
                 to \"serve\" to serve workspaces in the clear"
            );
        }
        Ok(Self {
            config,
            manager,
            manager_tls,
            state_dir,
            plain,
            tls,
        })
    }
}

/// Name in the certificates of managers. **Source:** the reference.
const MANAGER: &str = "ws-manager";

/// Workspaces as the manager tells of them from now on, and activity told to it.
fn follow(parts: &Parts) -> Followed {
    let channel = dial::channel(&parts.manager.address, parts.manager_tls.clone());
    let workspaces = RemoteWorkspaces::new();
    let (activity, reports) = RemoteActivity::new(client::over(channel.clone()));
    let following = workspaces.clone();
    tokio::spawn(async move { following.follow(client::over(channel)).await });
    tokio::spawn(reports);
    Followed {
        workspaces,
        activity: Arc::new(activity),
    }
}

struct Followed {
    workspaces: RemoteWorkspaces,
    activity: Arc<RemoteActivity>,
}

async fn serve_operations(
    parts: &Parts,
    metrics: Metrics,
    followed: &Followed,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let workspaces = followed.workspaces.clone();
    let health = Health::new()
        .with("workspaces", move || match workspaces.is_loaded() {
            true => Ok(()),
            false => Err("the list of workspaces was not read yet".to_owned()),
        })
        .until(stop.clone());
    let config = &parts.config;
    Operations::health(health)
        .serve("health", config.readiness.as_ref(), stop)
        .await?;
    Operations::metrics(metrics)
        .serve("metrics", config.metrics.as_ref(), stop)
        .await
}

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The stack, from the inside out.
fn proxy(
    parts: &Parts,
    followed: Followed,
) -> anyhow::Result<
    impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
> {
    let installation = &parts.config.installation;
    let (hosts, transport) = (installation.hosts.clone(), parts.config.transport);
    let limits = &parts.config.limits;
    let source = HostSource::new().with_trusted_header(parts.config.host_header.clone());
    let policy = AccessPolicy::new(hosts.clone(), &installation.host)
        // Pages of one workspace may not open WebSockets of another one's ports.
        .with_origin_check_on_ports();
    let tls = Arc::new(RustlsClient::new(tls::provider())?);
    let (scheme, port) = (installation.scheme, installation.port);
    let proxy = WorkspaceProxy::new(hosts.clone(), Arc::new(followed.workspaces))
        .with_policy(policy)
        // A load balancer in front says for which host a request is.
        .with_host_source(source.clone())
        // Only processes of the workspace itself are reached.
        .with_connector(Arc::new(LocalConnector::beside(Layout::new(
            &parts.state_dir,
        ))))
        // Who is used is not stopped.
        .with_activity(followed.activity)
        // What programs in a workspace are told of how they are reached.
        .with_forward(|forward| forward.with_public_address(scheme, port))
        .with_forward(|forward| {
            forward
                .with_connect_timeout(transport.connect_timeout)
                .with_idle_timeout(transport.idle_timeout)
                .with_max_idle(transport.max_idle)
                .with_body_idle_timeout(limits.time(Limit::BodyIdle))
                .with_max_upgrades(limits.count(Limit::UpgradesPerWorkspace))
        })
        // Ports that speak HTTPS.
        .with_forward(|forward| forward.with_tls(tls))
        .with_head_limits(
            limits.count(Limit::HeadFields),
            limits.count(Limit::HeadBytes),
        );
    let boxed = ServiceExt::<Request<Incoming>>::map_response(proxy, |response: Response<_>| {
        response.map(|body| Body::new(body.map_err(Into::into)))
    });
    // Outermost: `/health` for load balancers, and no certificates for whoever answers a challenge.
    Ok(OwnPathsLayer::new(hosts, source).layer(boxed))
}

async fn serve_plain<S>(
    parts: &Parts,
    server: Server,
    listener: Listener,
    proxy: S,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    if parts.plain == Plain::Served {
        return server.serve(listener, proxy, stop).await;
    }
    let port = match parts.config.installation.port {
        80 => 443, // where browsers go by themselves
        port => port,
    };
    let hosts = parts.config.installation.hosts.clone();
    let redirect = service_fn(move |request: Request<Incoming>| {
        let response = to_tls(&hosts, port, &request.into_parts().0);
        async move { Ok::<_, Infallible>(response) }
    });
    server.serve(listener, redirect, stop).await;
}
