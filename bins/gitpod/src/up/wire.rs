//! Where the concrete parts of `up` meet.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gitpod_bridge::{Bridge, MemoryPublisher, Origin, Relay, RelaySettings, SqliteStore};
use gitpod_lifecycle::process::{
    CloneLimits, FileRecords, GitContent, IdeChoice, Layout, Limits, LocalConnector, NetworkChoice,
    ProcessCluster, ProcessSettings,
};
use gitpod_lifecycle::{
    Adapters, Clock, Manager, ManagerActivity, Records, Settings, Timeouts, UrlTemplate,
};
use gitpod_routing::{
    AccessPolicy, BuiltInPages, CookieNames, Links, MemoryProvider, PublicUrl, RustlsClient,
    Scheme, WorkspaceProxy,
};
use gitpod_sshgw::Gateway;
use support::limits::Limit;
use support::serve::Server as HttpServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::{Config, Ide};
use super::content::DescribedContent;
use super::link_key;
use super::network;
use super::page::{self, Page};
use super::replace::{Followed, SwitchedActivity, SwitchedStarter};
use super::shares::FileShares;
use super::source::ManagerSource;
use super::ssh::Ssh;
use super::wake::{self, StartAgain};
use crate::cli::Network;
use crate::exit::Failure;
use crate::state_dir::{DATABASE, HeldStateDir};
use crate::workspaces::{self, CLUSTER, Workspaces};

/// Everything that runs, put together.
pub(super) struct System {
    pub(super) workspaces: Workspaces,
    pub(super) page: Page,
    pub(super) manager: Manager,
    pub(super) store: SqliteStore,
    pub(super) proxy: WorkspaceProxy,
    pub(super) ssh: Ssh,
    pub(super) gateway: Gateway,
    pub(super) http: HttpServer,
    /// What a successor is to tell of.
    pub(super) followed: Followed,
    /// Bridge and relay, which end last and in this order: one has to see every stop, the
    /// other what that has written.
    pub(super) accounting: Vec<(CancellationToken, JoinHandle<()>)>,
}

impl System {
    /// Opens what is kept in `held` and puts everything together around it.
    pub(super) async fn open(
        config: &Config,
        held: &HeldStateDir,
        address: SocketAddr,
        ssh: Ssh,
    ) -> Result<Self, Failure> {
        let store = open_store(held).await?;
        let urls = Urls::new(&config.domain, address.port())?;
        let layout = Layout::new(held.path());
        let cluster = ProcessCluster::new(ssh.let_in(process_settings(config, &layout, &urls)));
        network::settle(config.network, &cluster).await?;
        let connector = LocalConnector::new(cluster.clone());
        let manager = open_manager(config, &layout, cluster.clone(), &urls).await?;
        let routes = MemoryProvider::new();
        let shares = FileShares::open(held.path().join("shares.json")).await?;
        let shares = Arc::new(shares.with_reserve(layout.reserve()));
        let links = open_links(config, held, address.port(), shares.clone())?;
        let workspaces = Workspaces::new(
            manager.clone(),
            store.clone(),
            routes.clone(),
            cluster,
            ssh.endpoint(),
            links.clone(),
        );
        settle(&workspaces).await?;

        let page = Page::open(workspaces.clone(), &config.domain, address, held.path())?;
        let tls = open_tls()?;
        let followed = followed(config, &workspaces, &manager, routes.clone(), shares, &ssh);
        let (wakes, activity) = (followed.wakes.clone(), followed.activity.clone());
        let gateway = ssh.gateway(routes.clone(), layout, activity.clone(), config.drain);
        let gateway = gateway.with_wakes(wakes.clone());
        let proxy = WorkspaceProxy::new(config.hosts.clone(), Arc::new(routes))
            .with_policy(policy(config))
            // A browser signs in by a link, its owner's or that of a share.
            .with_links(links)
            // The owner is led to where she can start what is stopped, or sign in to it.
            .with_pages(Arc::new(pages(&page)))
            // Who comes to a stopped workspace has it started, and is held until it answers.
            .with_wakes(wakes)
            // Only processes of the workspace itself are reached.
            .with_connector(Arc::new(connector))
            // Who is used is not stopped.
            .with_activity(activity)
            // What programs in a workspace are told of how they are reached.
            .with_forward(|forward| forward.with_public_address(Scheme::Http, address.port()))
            // Ports that `.gitpod.yml` says speak HTTPS.
            .with_forward(|forward| forward.with_tls(tls));
        let proxy = within(&config.limits, proxy);

        let system = Self {
            workspaces,
            page,
            manager,
            store,
            proxy,
            ssh,
            gateway,
            followed,
            http: HttpServer::with_limits(&config.limits).with_drain(config.drain),
            accounting: Vec::new(),
        };
        system.begin(held).await
    }

    /// Goes on with what runs.
    async fn begin(mut self, held: &HeldStateDir) -> Result<Self, Failure> {
        self.account();
        // Not before everybody listens who must hear of it.
        let begun = self.manager.begin().await;
        begun.map_err(|why| Failure::failed("cannot go on with workspaces").because(&why))?;
        let deleting = self.workspaces.finish_deletions().await;
        deleting.map_err(cannot_remove)?;
        // Who comes at once finds them.
        self.workspaces.tell_routes().await;
        self.ssh.keep_config(self.workspaces.clone(), held.path());
        Ok(self)
    }

    /// Starts what carries statuses into the store, to routing and to watchers.
    fn account(&mut self) {
        let publisher = MemoryPublisher::default();
        let announcements = publisher.subscribe();
        let source = Arc::new(ManagerSource::new(self.manager.clone()));
        let store = Arc::new(self.store.clone());
        let bridge = Bridge::new(source, store.clone(), Origin::new(CLUSTER));
        let relay = Relay::new(store, Arc::new(publisher)).with_settings(relaying());
        let (of_bridge, of_relay) = (CancellationToken::new(), CancellationToken::new());
        let bridge = tokio::spawn(bridge.run(of_bridge.clone()));
        let relay = tokio::spawn(relay.run(of_relay.clone()));
        self.accounting = vec![(of_bridge, bridge), (of_relay, relay)];

        let updates = self.manager.subscribe();
        let progress = self.manager.subscribe_progress();
        let workspaces = &self.workspaces;
        tokio::spawn(workspaces::follow_manager(
            workspaces.clone(),
            updates,
            progress,
        ));
        tokio::spawn(workspaces::announce(workspaces.clone(), announcements));
        tokio::spawn(workspaces::follow_ports(workspaces.clone()));
    }
}

/// What is somebody else's business once that has taken over.
fn followed(
    config: &Config,
    workspaces: &Workspaces,
    manager: &Manager,
    routes: MemoryProvider,
    shares: Arc<FileShares>,
    ssh: &Ssh,
) -> Followed {
    let starter = Arc::new(StartAgain(workspaces.clone()));
    let starter = Arc::new(SwitchedStarter::new(starter));
    let activity = Arc::new(ManagerActivity::new(manager.clone()));
    Followed {
        wakes: wake::wakes(config, starter.clone(), routes.clone()),
        routes,
        activity: Arc::new(SwitchedActivity::new(activity)),
        starter,
        shares,
        keys: ssh.authorized(),
    }
}

/// Lets requests take so much of us and no more.
fn within(limits: &support::limits::Limits, proxy: WorkspaceProxy) -> WorkspaceProxy {
    let (fields, bytes) = (Limit::HeadFields, Limit::HeadBytes);
    proxy
        .with_head_limits(limits.count(fields), limits.count(bytes))
        .with_forward(|forward| {
            forward
                .with_body_idle_timeout(limits.time(Limit::BodyIdle))
                .with_connect_timeout(limits.time(Limit::ConnectTime))
                .with_max_upgrades(limits.count(Limit::UpgradesPerWorkspace))
        })
}

/// What those who are refused get to see.
fn pages(page: &Page) -> BuiltInPages {
    let (start, open) = (page.clone(), page.clone());
    BuiltInPages::new()
        .with_start_url(move |id| start.url_of(id))
        .with_way_in(move |id, port| open.way_in(id, port))
}

/// Who may use what.
fn policy(config: &Config) -> AccessPolicy {
    // No workspace gets to see who is signed in to the page, whoever sends it there.
    let cookies = CookieNames::new(&config.domain).with_prefix(page::COOKIE);
    AccessPolicy::new(config.hosts.clone(), &config.domain)
        .with_cookies(cookies)
        // Pages of one workspace may not open WebSockets of another one's ports.
        .with_origin_check_on_ports()
}

fn open_tls() -> Result<Arc<RustlsClient>, Failure> {
    RustlsClient::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .map(Arc::new)
        .map_err(|why| Failure::failed("cannot speak TLS").because(&why))
}

/// What lets browsers in, also after a restart.
fn open_links(
    config: &Config,
    held: &HeldStateDir,
    port: u16,
    shares: Arc<FileShares>,
) -> Result<Links, Failure> {
    let urls = PublicUrl::new(Scheme::Http, config.hosts.clone()).with_port(port);
    let key = link_key::read_or_make(&held.path().join("links.key"))?;
    Ok(Links::new(key, urls).with_shares(shares))
}

/// What was taken from the outbox by an `up` that was killed is due again once a whole
/// batch would have failed: after a second, as a publisher in memory never waits.
fn relaying() -> RelaySettings {
    let mut settings = RelaySettings::default();
    settings.publish_timeout = Duration::from_millis(10);
    settings
}

/// How workspaces and their ports are named towards browsers.
struct Urls {
    workspace: UrlTemplate,
    port: UrlTemplate,
}

impl Urls {
    fn new(domain: &str, port: u16) -> Result<Self, Failure> {
        let port = match port {
            80 => String::new(), // as browsers leave it out
            port => format!(":{port}"),
        };
        let template = |text: String| {
            text.parse()
                .map_err(|why| Failure::failed("cannot name workspaces").because(&why))
        };
        Ok(Self {
            workspace: template(format!("http://{{{{ .Prefix }}}}.{domain}{port}/"))?,
            port: template(format!(
                "http://{{{{ .WorkspacePort }}}}-{{{{ .Prefix }}}}.{domain}{port}/"
            ))?,
        })
    }
}

async fn open_store(held: &HeldStateDir) -> Result<SqliteStore, Failure> {
    SqliteStore::open(held.path().join(DATABASE))
        .await
        .map_err(|why| {
            Failure::failed("cannot open the database")
                .because(&why)
                .fix("mend what is named above, or name another directory with --state-dir")
        })
}

async fn open_manager(
    config: &Config,
    layout: &Layout,
    cluster: ProcessCluster,
    urls: &Urls,
) -> Result<Manager, Failure> {
    let mut limits = CloneLimits::default();
    limits.bytes = u64::try_from(config.limits.count(Limit::CloneBytes)).unwrap_or(u64::MAX);
    limits.time = config.limits.time(Limit::CloneTime);
    let clones = GitContent::new(layout.clone()).with_limits(limits);
    let tidied = clones.remove_unfinished().await;
    tidied.map_err(|why| Failure::failed("cannot remove unfinished clones").because(&why))?;
    let content = DescribedContent {
        inner: clones,
        layout: layout.clone(),
    };
    let records = FileRecords::open(layout.instances())
        .await
        .map_err(|why| Failure::failed("cannot read the records of instances").because(&why))?;
    // Whoever wants to make room on a full disk can write down that she does.
    layout.reserve().fill();
    let records = records.with_reserve(layout.reserve());
    end_unknown(&records, &cluster).await?;
    let mut timeouts = Timeouts::default();
    timeouts.inactivity = config.timeout;
    let settings = Settings::new(urls.workspace.clone(), urls.port.clone()).with_timeouts(timeouts);
    let adapters = Adapters::new(records, cluster, content);
    let manager = Manager::at_rest(adapters, settings, Clock::system())
        .await
        .map_err(|why| Failure::failed("cannot start the manager").because(&why))?;
    for broken in manager.broken_records() {
        crate::print::note(&format!("warning: {broken}"));
    }
    Ok(manager)
}

/// Brings to an end what an `up` was doing that was killed.
async fn settle(workspaces: &Workspaces) -> Result<(), Failure> {
    let settled = async {
        workspaces.forget_unmade().await?;
        workspaces.settle_orphans().await
    };
    let settled = settled.await;
    settled.map_err(|why| Failure::failed("cannot take stock of workspaces").because(&why))?;
    let removed = workspaces.finish_removals().await;
    removed.map_err(cannot_remove)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn cannot_remove(why: std::io::Error) -> Failure {
    Failure::failed("cannot look for removed workspaces").because(&why)
}

/// What one workspace may use. Memory is left to the machine: without control groups
/// it could only be limited as address space, which programs such as browsers and
/// Node reserve far more of than they use.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.processes = Some(4096); // a fork bomb must not end the machine
    limits.open_files = Some(65_536); // for each process: what servers and watchers ask for
    limits
}

/// Ends runs whose records are broken, before the next ones meet them in their files.
async fn end_unknown(records: &FileRecords, cluster: &ProcessCluster) -> Result<(), Failure> {
    let listing = records.list().await;
    let listing = listing
        .map_err(|why| Failure::failed("cannot read the records of instances").because(&why))?;
    let instances = listing.records.into_iter();
    let known: Vec<_> = instances.map(|record| record.spec.instance).collect();
    cluster
        .end_unknown(&known)
        .await
        .map_err(|why| Failure::failed("cannot end what earlier runs have left").because(&why))
}

fn process_settings(config: &Config, layout: &Layout, urls: &Urls) -> ProcessSettings {
    // The supervisor is this very program, so that one file is enough. Named by
    // process, it is found even if that file has been replaced since.
    let this = format!("/proc/{}/exe", std::process::id());
    let supervisor: Vec<OsString> = vec![this.into(), "supervisor".into()];
    let settings = ProcessSettings::new(
        layout.clone(),
        supervisor,
        urls.workspace.clone(),
        urls.port.clone(),
    );
    settings
        .with_limits(limits())
        .with_ide(match &config.ide {
            Ide::Auto => IdeChoice::Auto,
            Ide::None => IdeChoice::None,
            Ide::Command(words) => IdeChoice::Command(words.clone()),
        })
        .with_network(match config.network {
            Network::Auto => NetworkChoice::Auto,
            Network::Own => NetworkChoice::Own,
            Network::Shared => NetworkChoice::Shared,
        })
}
