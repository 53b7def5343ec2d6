//! A supervisor in a directory of its own, and a client for its socket.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyDataStream, BodyExt};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_stream::StreamExt;

/// Far more than anything here takes; a test that waits so long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The directories of a workspace; they outlive its runs.
pub(crate) struct Place {
    pub(crate) dir: Arc<TempDir>,
    config: Value,
    programs: Option<PathBuf>,
}

/// A run of it.
pub(crate) struct Running {
    child: Child,
    socket: PathBuf,
    _dir: Arc<TempDir>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Place {
    /// A workspace whose repository has this `.gitpod.yml`.
    pub(crate) fn new(gitpod_yml: &str) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        fs::create_dir(dir.path().join("content")).unwrap();
        fs::write(dir.path().join("content/.gitpod.yml"), gitpod_yml).unwrap();
        let path = |name: &str| dir.path().join(name);
        let config = json!({
            "workspace_id": "pink-panda-ns35kd21", "instance_id": "6a4d7f0e-3c4f-4f0b-9df1-1f6c2a1b9a11",
            "content_dir": path("content"), "logs_dir": path("logs/1"), "socket": path("supervisor.sock"),
            "repository_url": "https://example.com/a/b", "workspace_url": "http://pink-panda-ns35kd21.ws.localhost:8080/",
            "port_url_template": "http://{port}-pink-panda-ns35kd21.ws.localhost:8080/", "ide": null, "env": {"GREETING": "hello"},
        });
        Self {
            dir,
            config,
            programs: None,
        }
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    /// Makes `script` a program of this name that the supervisor finds first.
    pub(crate) fn with_program(mut self, name: &str, script: &str) -> Self {
        let dir = self.dir.path().join("bin");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), script).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        self.programs = Some(dir);
        self
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("content").join(name)
    }

    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(&self) -> Running {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("supervisor.log"))
            .unwrap();
        let child = self.spawn_with(log.into());
        let socket = PathBuf::from(self.config["socket"].as_str().unwrap());
        let running = Running {
            child,
            socket,
            _dir: Arc::clone(&self.dir),
        };
        until(|| running.socket.exists()).await;
        running
    }
}

impl Place {
    /// Starts it; what it says is for the caller to read.
    pub(crate) fn spawn(&self) -> Child {
        self.spawn_with(Stdio::piped())
    }

    fn spawn_with(&self, log: Stdio) -> Child {
        let config = self.dir.path().join("supervisor.json");
        fs::write(&config, self.config.to_string()).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(
            self.programs
                .iter()
                .cloned()
                .chain(std::env::split_paths(&path)),
        )
        .unwrap();
        Command::new(env!("CARGO_BIN_EXE_supervisor"))
            .args([Path::new("--config"), &config])
            .env("PATH", path)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str) -> Answer {
        let (status, headers, stream) = self.open(method, path).await;
        let chunks: Vec<_> =
            tokio::time::timeout(LONG, stream.map(|chunk| chunk.unwrap().to_vec()).collect())
                .await
                .unwrap();
        let chunks: Vec<Vec<u8>> = chunks;
        Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&chunks.concat()).into_owned(),
        }
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.body).unwrap()
    }

    /// All output of a task, once it has ended.
    pub(crate) async fn output(&self, task: &str) -> String {
        self.get(&format!("/_supervisor/v1/tasks/{task}/log?follow=1"))
            .await
            .body
    }

    /// Reads `path` as it comes, until the text read so far holds `text`.
    pub(crate) async fn read_until(&self, path: &str, text: &str) -> String {
        self.read_while(path, |so_far| !so_far.contains(text)).await
    }

    /// Waits for the first event `name` whose data satisfies `wanted`.
    pub(crate) async fn event(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let head = format!("event: {name}\n");
        let found = |so_far: &str| {
            let blocks = so_far
                .split("\n\n")
                .filter(|block| block.starts_with(&head));
            let data =
                blocks.filter_map(|block| serde_json::from_str(block.split_once("data: ")?.1).ok());
            data.into_iter().find(|data| wanted(data))
        };
        let text = self
            .read_while("/_supervisor/v1/events", |so_far| found(so_far).is_none())
            .await;
        found(&text).unwrap()
    }

    async fn read_while(&self, path: &str, more: impl Fn(&str) -> bool) -> String {
        let (_, _, mut stream) = self.open(Method::GET, path).await;
        let mut so_far = String::new();
        let read = async {
            while more(&so_far) {
                let Some(chunk) = stream.next().await else {
                    panic!("{path} ended with: {so_far}")
                };
                so_far += &String::from_utf8_lossy(&chunk.unwrap());
            }
        };
        tokio::time::timeout(LONG, read).await.unwrap();
        so_far
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
    ) -> (StatusCode, HeaderMap, BodyDataStream<hyper::body::Incoming>) {
        // Through the directory, as the path may be too long for an address.
        let dir = fs::File::open(self.socket.parent().unwrap()).unwrap();
        let near = Path::new("/proc/self/fd")
            .join(dir.as_raw_fd().to_string())
            .join(self.socket.file_name().unwrap());
        let stream = UnixStream::connect(near).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "x")
            .body(Body::empty())
            .unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        (head.status, head.headers, body.into_data_stream())
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = tokio::task::spawn_blocking(move || (self.child.wait().unwrap(), self));
        tokio::time::timeout(LONG, ended).await.unwrap().unwrap().0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for what nothing announces.
pub(crate) async fn until(done: impl Fn() -> bool) {
    let look = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.unwrap();
}

/// Whether a process with this number exists, be it only its exit code.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
