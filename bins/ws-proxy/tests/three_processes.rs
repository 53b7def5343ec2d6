//! Three real programs: a manager runs workspaces, a bridge keeps books, and the proxy leads to them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use gitpod_bridge::{InstancePhase, InstanceStore, SqliteStore};
use gitpod_lifecycle::grpc::client::{DescribeWorkspaceRequest, WorkspacePhase};
use serde_json::json;
use support::testing::{
    Answer, Authority, ManagerClient, Program, binary, bridge_config, https_request,
    https_request_named, https_two_request, manager_config, proxy_config, repository, request,
    wait_until,
};
use tempfile::TempDir;

/// Listens on a free port, which it writes down, and answers with what it was sent.
const SERVER: &str = r#"
import http.server, os
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("hello from the workspace\n" + str(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
with open("port.part", "w") as file:
    file.write(str(server.server_port))
os.rename("port.part", "port")
server.serve_forever()
"#;
const YML: &str = "tasks: [{command: exec python3 server.py}]";

fn port_of(dir: &Path, workspace: &str) -> u16 {
    let file = dir
        .join("state/workspaces")
        .join(workspace)
        .join("content/port");
    let mut port = None;
    wait_until("the port of the server", || {
        port = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.parse().ok());
        port.is_some()
    });
    port.unwrap()
}

const WORKSPACE: &str = "pink-panda-ns35kd21";
const NOBODY: &str = "1-no-such-ns35kd21.ws.localhost";

/// All three, and a workspace that answers.
struct Installation {
    dir: TempDir,
    _repository: TempDir,
    manager: Program,
    bridge: Program,
    proxy: Program,
    address: String,
    client: ManagerClient,
    host: String,
    token: String,
}

impl Installation {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = repository(&[(".gitpod.yml", YML), ("server.py", SERVER)]);
        let manager = Program::run(
            &binary("ws-manager"),
            dir.path(),
            &manager_config(dir.path()),
        );
        let address = manager.address("gRPC").to_string();
        let config = bridge_config(dir.path(), &address);
        let bridge = Program::run(&binary("ws-manager-bridge"), dir.path(), &config);
        let config = proxy_config(dir.path(), &address);
        let proxy = Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
        let health = proxy.address("health");
        wait_until("ready", || {
            request(health, "x", "/readyz?verbose", &[]).status() == 200
        });
        let mut client = ManagerClient::new(&address, None);
        let started = client.start("run-1", WORKSPACE, repository.path()).await;
        client.reaches("run-1", WorkspacePhase::Running).await;
        let installation = Self {
            host: format!(
                "{}-{WORKSPACE}.ws.localhost",
                port_of(dir.path(), WORKSPACE)
            ),
            token: started.token,
            _repository: repository,
            dir,
            manager,
            bridge,
            proxy,
            address,
            client,
        };
        wait_until("an answer of the workspace", || {
            installation.get().status() == 200
        });
        installation
    }

    fn token(&self) -> (&str, &str) {
        ("x-gitpod-owner-token", &self.token)
    }

    /// As the owner.
    fn get(&self) -> Answer {
        request(self.proxy.address("HTTP"), &self.host, "/", &[self.token()])
    }

    /// Ends the workspace and all programs, none of which has told the token to its log.
    async fn end(mut self) {
        self.client.stop("run-1").await;
        self.client.reaches("run-1", WorkspacePhase::Stopped).await;
        wait_until("an answer for the stopped", || {
            matches!(self.get().status(), 404 | 503)
        });
        for program in [self.proxy, self.bridge, self.manager] {
            assert!(!program.log().contains(&self.token), "{}", program.log());
            assert!(program.stop().success());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workspace_is_started_and_reached_with_its_token_only() {
    let mut installation = Installation::start().await;
    let http = installation.proxy.address("HTTP");
    let (host, token) = (installation.host.as_str(), installation.token());

    // By the name that a load balancer gives.
    let behind = [token, ("x-wsproxy-host", host)];
    let answer = request(http, "load-balancer", "/", &behind);
    assert!(
        answer.body().starts_with("hello from the workspace"),
        "{}",
        answer.0
    );
    assert!(
        !answer.0.contains(token.1),
        "the token went on: {}",
        answer.0
    );
    // Without it, with another one, and elsewhere.
    assert_eq!(request(http, host, "/", &[]).status(), 401);
    assert_eq!(
        request(http, host, "/", &[("x-gitpod-owner-token", "no")]).status(),
        403
    );
    assert_eq!(request(http, NOBODY, "/", &[token]).status(), 404);
    assert_eq!(request(http, "localhost", "/health", &[]).status(), 200);

    let metrics = request(installation.proxy.address("metrics"), "x", "/metrics", &[]);
    for name in [
        "gitpod_ws_proxy_http_server_requests_total{",
        "gitpod_ws_proxy_http_server_requests_duration_seconds_bucket{",
        "gitpod_ws_proxy_http_client_requests_total{",
        "gitpod_workspace_source_connected 1",
    ] {
        assert!(metrics.body().contains(name), "{name}: {}", metrics.body());
    }
    // Who is used is marked active.
    let described = DescribeWorkspaceRequest {
        id: "run-1".to_owned(),
    };
    let described = installation
        .client
        .client
        .describe_workspace(described)
        .await
        .unwrap();
    assert!(!described.into_inner().last_activity.is_empty());
    installation.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workspace_is_written_down_and_reached_while_its_manager_is_away() {
    let mut installation = Installation::start().await;
    let store = SqliteStore::open(installation.dir.path().join("gitpod.db"))
        .await
        .unwrap();
    let row = store
        .instance(&"run-1".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.state.phase, &*row.owner_id),
        (InstancePhase::Running, "owner-1")
    );

    // Who is known is still reached; of others nothing is certain.
    installation.manager.end_by_force();
    let lost = |line: &serde_json::Value| {
        line["message"]
            .as_str()
            .is_some_and(|it| it.starts_with("manager "))
    };
    let _ = installation.proxy.logged("the loss of the manager", lost);
    assert_eq!(installation.get().status(), 200);
    let http = installation.proxy.address("HTTP");
    assert_eq!(
        request(http, NOBODY, "/", &[installation.token()]).status(),
        503
    );

    let mut config = manager_config(installation.dir.path());
    config["rpcServer"]["addr"] = installation.address.as_str().into();
    installation.manager = Program::run(&binary("ws-manager"), installation.dir.path(), &config);
    let _ = installation.manager.address("gRPC");
    wait_until("certainty", || {
        request(http, NOBODY, "/", &[]).status() == 404
    });
    installation.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_with_a_certificate_that_is_replaced_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let repository = repository(&[(".gitpod.yml", YML), ("server.py", SERVER)]);
    let inner = Authority::new();
    let server = inner.write(dir.path(), "manager", "ws-manager");
    let ours = inner.write(dir.path(), "proxy-client", "ws-proxy");
    let mut config = manager_config(dir.path());
    config["rpcServer"]["tls"] =
        json!({"ca": server.authority, "crt": server.certificate, "key": server.key});
    let manager = Program::run(&binary("ws-manager"), dir.path(), &config);
    let address = manager.address("gRPC").to_string();

    let host = "pink-panda-ns35kd21.ws.localhost";
    let outer = tempfile::tempdir().unwrap();
    let first = Authority::new();
    let files = first.write(outer.path(), "tls", host);
    let mut config = proxy_config(dir.path(), &address);
    config["wsManager"]["tls"] =
        json!({"ca": ours.authority, "crt": ours.certificate, "key": ours.key});
    config["proxy"]["https"] = json!({"crt": files.certificate, "key": files.key});
    config["proxy"]["gitpodInstallation"]["scheme"] = "https".into();
    config["local"]["http"] = "redirect".into();
    let proxy = Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
    let (http, https) = (proxy.address("HTTP"), proxy.address("HTTPS"));

    let tls = support::tls::ClientTls::open(ours, "ws-manager").unwrap();
    let mut client = ManagerClient::new(&address, Some(tls));
    let started = client
        .start("run-1", "pink-panda-ns35kd21", repository.path())
        .await;
    client.reaches("run-1", WorkspacePhase::Running).await;
    let token = [("x-gitpod-owner-token", started.token.as_str())];
    let get =
        |authority: &Authority| https_request(https, authority, host, ("GET", "/"), &token, "");
    wait_until("the home page", || get(&first).status() == 200);

    let redirected = request(http, host, "/a?b=c", &[]);
    assert_eq!(redirected.status(), 307);
    assert_eq!(
        redirected.header("location"),
        Some("https://pink-panda-ns35kd21.ws.localhost/a?b=c")
    );
    assert_eq!(request(http, "evil.test", "/", &[]).status(), 404);

    // Half of a change is none; the whole of it counts without a restart.
    let second = Authority::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let replacement = second.write(elsewhere.path(), "tls", host);
    std::fs::copy(&replacement.certificate, &files.certificate).unwrap();
    let _ = proxy.logged("that the files do not fit", |line| {
        line["level"] == "warn" && line.to_string().contains("TLS files")
    });
    assert_eq!(get(&first).status(), 200);
    std::fs::copy(&replacement.key, &files.key).unwrap();
    let _ = proxy.logged("that the files were read", |line| {
        line["message"] == "TLS files were read again"
    });
    assert_eq!(get(&second).status(), 200);
    client.stop("run-1").await;
    client.reaches("run-1", WorkspacePhase::Stopped).await;
}

#[test]
fn what_it_cannot_do_is_said_before_anything_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let good = proxy_config(dir.path(), "127.0.0.1:1");
    let told = |change: fn(&mut serde_json::Value)| {
        let mut config = good.clone();
        change(&mut config);
        let mut program =
            Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
        assert_eq!(program.wait().code(), Some(1));
        assert!(!program.log().contains("listening"), "{}", program.log());
        program.log()
    };
    let kubernetes = told(|config| drop(config.as_object_mut().unwrap().remove("local")));
    assert!(kubernetes.contains("not yet Kubernetes"), "{kubernetes}");
    let no_manager = told(|config| drop(config.as_object_mut().unwrap().remove("wsManager")));
    assert!(
        no_manager.contains("wsManager.addr is missing"),
        "{no_manager}"
    );
    let no_certificate = told(|config| config["local"]["http"] = "redirect".into());
    assert!(
        no_certificate.contains("proxy.https.crt is missing"),
        "{no_certificate}"
    );
    let broken =
        told(|config| config["proxy"]["transportConfig"]["connectTimeout"] = "soon".into());
    assert!(
        broken.contains("proxy.transportConfig.connectTimeout: \\\"soon\\\""),
        "{broken}"
    );
}

#[test]
fn limits_are_configured_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = proxy_config(dir.path(), "127.0.0.1:1");
    config["local"]["limits"] = json!({"head-fields": 10, "head-time": "5s"});
    config["local"]["drain"] = json!("1s");
    let proxy = Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
    let fields = [("x-many", "1"); 12];
    let http = proxy.address("HTTP");
    assert_eq!(request(http, NOBODY, "/", &fields).status(), 431);
    assert_eq!(request(http, NOBODY, "/", &[]).status(), 503);
    let shown = request(proxy.address("metrics"), "x", "/metrics", &[]);
    for line in [
        "gitpod_limit{limit=\"head-fields\"} 10",
        "gitpod_limit_refusals_total{limit=\"head-bytes\"} 1",
    ] {
        assert!(shown.body().contains(line), "{}", shown.body());
    }
    assert!(proxy.stop().success());

    config["local"]["limits"] = json!({"head-tiem": "5s"});
    let wrong = Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
    let told = wrong.logged("what is wrong", |line| line["level"] == "error");
    assert!(
        told["why"].as_str().unwrap().contains("head-time"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_03_connection_for_one_host_carries_no_request_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = authority.write(dir.path(), "tls", "*.ws.localhost");
    let mut config = proxy_config(dir.path(), "127.0.0.1:1");
    config["proxy"]["https"] = json!({"crt": files.certificate, "key": files.key});
    config["local"]["http"] = "redirect".into();
    let proxy = Program::run(env!("CARGO_BIN_EXE_ws-proxy").as_ref(), dir.path(), &config);
    let https = proxy.address("HTTPS");
    let (one, two) = ("pink-panda-ns35kd21.ws.localhost", NOBODY);
    // No manager answers: whoever is not sent away before learns that nothing is certain.
    for (name, host, status) in [
        (one, one, 503),
        (one, "PINK-panda-ns35kd21.ws.localhost.:8443", 503),
        (one, two, 421),
        (two, one, 421),
        (two, two, 503),
    ] {
        let get = ("GET", "/");
        let answer = https_request_named(https, &authority, name, host, get, &[], "");
        assert_eq!(answer.status(), status, "{name} {host}: {}", answer.0);
        let (two, says) = https_two_request(https, &authority, name, host, &[]).await;
        assert_eq!(two, status, "{name} {host} over HTTP/2: {says}");
    }
    // What the load balancer in front says is about another connection.
    let passed_on = [("x-wsproxy-host", two)];
    let (status, says) = https_two_request(https, &authority, one, one, &passed_on).await;
    assert_eq!(status, 503, "{says}");
}
