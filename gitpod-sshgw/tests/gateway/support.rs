//! A workspace whose SSH server is OpenSSH's, behind a gateway, for OpenSSH's client.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gitpod_routing::{MemoryActivity, MemoryProvider, OwnerToken, WorkspaceInfo};
use gitpod_sshgw::{
    Authenticate, Authenticated, AuthenticatorError, Credential, Gateway, LoginName,
    MemorySessions, OwnerAuthenticator, PrivateKey, PublicKey, SshAuthenticator, SshLimits,
    Upstream, UpstreamConnector, UpstreamError, UpstreamLogin, UserCa, Verdict,
};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const ID: &str = "pink-panda-ns35kd21";
pub(crate) const STOPPED: &str = "teal-otter-7f3k9q2m";
pub(crate) const UNKNOWN: &str = "gray-goose-abcdefgh";

/// A gateway that serves, and what it is told.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) workspaces: MemoryProvider,
    pub(crate) activity: MemoryActivity,
    pub(crate) sessions: MemorySessions,
    pub(crate) dials: Arc<AtomicUsize>,
    /// How often it was decided whether somebody may come in, or stay.
    pub(crate) looks: Arc<AtomicUsize>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) key: PrivateKey,
    shutdown: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// A gateway with usual limits.
pub(crate) async fn served() -> Served {
    served_with(SshLimits::default(), |gateway| gateway).await
}

/// A gateway with other limits, changed by `change`.
pub(crate) async fn served_with(
    limits: SshLimits,
    change: impl FnOnce(Gateway) -> Gateway,
) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate().unwrap();
    write_private(&dir.path().join("key"), &key.to_openssh().unwrap());
    let sshd = Sshd::new(dir.path());
    let dials = Arc::clone(&sshd.dials);
    let workspaces = MemoryProvider::new();
    workspaces.insert(info(ID, &key).running_at([10, 0, 0, 7].into()));
    workspaces.insert(info(STOPPED, &key));
    let (activity, sessions) = (MemoryActivity::new(), MemorySessions::new());
    let looks = Arc::<AtomicUsize>::default();
    let authenticate = Authenticate::new(
        Arc::new(workspaces.clone()),
        Arc::new(Counted(Arc::clone(&looks))),
    );
    let gateway = Gateway::new(authenticate, Arc::new(sshd))
        .with_host_keys([PrivateKey::generate().unwrap()])
        .with_limits(limits)
        .with_activity(Arc::new(activity.clone()))
        .with_observer(Arc::new(sessions.clone()));
    let gateway = change(gateway);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let known: Vec<String> = gateway
        .host_keys()
        .map(|key| format!("[127.0.0.1]:{} {key}\n", address.port()))
        .collect();
    std::fs::write(dir.path().join("known_hosts"), known.concat()).unwrap();
    let (shutdown, asked) = oneshot::channel::<()>();
    let serving = gateway.clone();
    let serving = tokio::spawn(async move {
        serving
            .serve(listener, async move { drop(asked.await) })
            .await;
    });
    Served {
        gateway,
        address,
        workspaces,
        activity,
        sessions,
        dials,
        looks,
        dir,
        key,
        shutdown: Some(shutdown),
        serving: Some(serving),
    }
}

/// Admits the owner, and counts how often it is asked.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

#[async_trait]
impl SshAuthenticator for Counted {
    async fn decide(
        &self,
        login: &LoginName,
        credential: &Credential<'_>,
        info: &WorkspaceInfo,
    ) -> Result<Verdict, AuthenticatorError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        OwnerAuthenticator::new()
            .decide(login, credential, info)
            .await
    }
}

/// The record of a workspace that does not run, and which `key` opens.
pub(crate) fn info(id: &str, key: &PrivateKey) -> WorkspaceInfo {
    let (id, instance) = (id.parse().unwrap(), "instance-1".parse().unwrap());
    let mut info = WorkspaceInfo::new(id, instance, OwnerToken::new("s3cret"));
    info.ssh_public_keys = vec![key.public_key().to_string().into()];
    info
}

impl Served {
    /// `ssh` into the workspace with the owner's key, with `options` before the host.
    pub(crate) fn ssh(&self, options: &[&str]) -> Command {
        self.ssh_as(ID, options)
    }

    /// `ssh` as user `name`.
    pub(crate) fn ssh_as(&self, name: &str, options: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-p", &self.address.port().to_string()]);
        self.common(&mut command).args(options);
        command.arg(format!("{name}@127.0.0.1"));
        command
    }

    /// The options that all OpenSSH programs take.
    pub(crate) fn common<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        command
            .args(["-F", "/dev/null", "-o", "BatchMode=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "LogLevel=INFO"])
            .args(["-o", &format!("UserKnownHostsFile={}", path("known_hosts"))])
            .args(["-o", "StrictHostKeyChecking=yes", "-i", &path("key")])
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("LANG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Begins the shutdown.
    pub(crate) fn shut_down(&mut self) -> JoinHandle<()> {
        let _ = self.shutdown.take().unwrap().send(());
        self.serving.take().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Starts an sshd of its own for each connection.
#[derive(Debug)]
pub(crate) struct Sshd {
    config: PathBuf,
    pub(crate) host_key: PublicKey,
    pub(crate) ca: UserCa,
    dials: Arc<AtomicUsize>,
}

impl Sshd {
    pub(crate) fn new(dir: &Path) -> Self {
        let host_key = PrivateKey::generate().unwrap();
        let ca = UserCa::new(PrivateKey::generate().unwrap());
        write_private(&dir.join("sshd_host_key"), &host_key.to_openssh().unwrap());
        std::fs::write(dir.join("user_ca"), format!("{}\n", ca.public_key())).unwrap();
        let dir = dir.display();
        let config = format!(
            "HostKey {dir}/sshd_host_key\nTrustedUserCAKeys {dir}/user_ca\n\
             AuthorizedKeysFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPrintMotd no\n\
             AcceptEnv *\nAllowTcpForwarding yes\nAllowStreamLocalForwarding yes\n\
             AllowAgentForwarding yes\nLogLevel ERROR\nMaxSessions 100\n\
             Subsystem sftp internal-sftp\n"
        );
        let path = PathBuf::from(format!("{dir}/sshd_config"));
        std::fs::write(&path, config).unwrap();
        drop(std::fs::create_dir_all("/run/sshd")); // where sshd runs as root, it wants this
        Self {
            config: path,
            host_key: host_key.public_key().clone(),
            ca,
            dials: Arc::default(),
        }
    }

    pub(crate) fn login(&self) -> UpstreamLogin {
        let user = whoami();
        let certificate = self.ca.certify(&user, SystemTime::now()).unwrap();
        UpstreamLogin::new(user, certificate, self.host_key.clone())
    }

    pub(crate) fn dial(&self) -> UnixStream {
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        let theirs = OwnedFd::from(theirs);
        let mut sshd = Command::new("/usr/sbin/sshd")
            .args(["-i", "-e", "-f"])
            .arg(&self.config)
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("these tests need Debian's package openssh-server");
        tokio::spawn(async move { sshd.wait().await });
        ours.set_nonblocking(true).unwrap();
        UnixStream::from_std(ours).unwrap()
    }
}

#[async_trait]
impl UpstreamConnector for Sshd {
    async fn connect(&self, to: &Authenticated) -> Result<Upstream, UpstreamError> {
        assert!(to.is_running());
        self.dials.fetch_add(1, Ordering::Relaxed);
        Ok(Upstream::new(self.dial(), self.login()))
    }
}

/// The user these tests run as, who is also the workspace's.
pub(crate) fn whoami() -> String {
    let id = std::process::Command::new("id").arg("-un").output();
    String::from_utf8(id.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

pub(crate) fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600);
    file.open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Waits until `condition` holds, which must be soon.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let all = async {
        while !condition() {
            ticks.tick().await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(within.is_ok(), "never: {what}");
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// Runs a program to its end, which must come within a minute.
pub(crate) async fn run(command: &mut Command) -> Ran {
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
    let output = output.expect("the program did not end").unwrap();
    Ran {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}
