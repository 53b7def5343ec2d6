//! What is open ends once it is no longer allowed, and nothing else does: a WebSocket, an event
//! stream and a long download of everybody who has got in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Up, Workspace, free_port, program, repository, wait_until};

/// A second, as promised, and time for a busy machine to start programs.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Streams of one who got in, read all the time.
pub(crate) struct Open(Vec<Stream>);

struct Stream {
    path: &'static str,
    bytes: Arc<AtomicU64>,
    has_ended: Arc<AtomicBool>,
}

impl Open {
    /// Everything that can be open of port `port`, as who sends `field`.
    pub(crate) fn new(up: &Up, workspace: &Workspace, port: u16, field: &str) -> Self {
        let paths = ["/pings", "/events", "/download"];
        let open = |path| Stream::open(up, &workspace.host(port), path, field);
        let all = Self(paths.into_iter().map(open).collect());
        all.go_on();
        all
    }

    /// All of them end at once when `cause` happens.
    pub(crate) fn end_by(&self, what: &str, cause: impl FnOnce() + Send) {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(cause);
            for Stream {
                path, has_ended, ..
            } in &self.0
            {
                let ended = || has_ended.load(Ordering::SeqCst);
                wait_until(&format!("{what} ends {path}"), ended);
                let took = begin.elapsed();
                assert!(took < AT_ONCE, "{what} ends {path} after {took:?}");
            }
        });
    }

    /// None of them has noticed anything.
    #[track_caller]
    pub(crate) fn go_on(&self) {
        for Stream {
            path,
            bytes,
            has_ended,
        } in &self.0
        {
            let before = bytes.load(Ordering::SeqCst);
            let more = || bytes.load(Ordering::SeqCst) > before;
            wait_until(&format!("{path} goes on"), || {
                more() || has_ended.load(Ordering::SeqCst)
            });
            assert!(!has_ended.load(Ordering::SeqCst), "{path} has ended");
        }
    }
}

impl Stream {
    fn open(up: &Up, host: &str, path: &'static str, field: &str) -> Self {
        let mut stream = TcpStream::connect(up.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let port = up.address().rsplit_once(':').unwrap().1;
        let connection = match path {
            "/pings" => {
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            }
            _ => "Connection: close\r\n",
        };
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n{connection}{field}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        let status = if path == "/pings" { "101" } else { "200" };
        assert_eq!(start, format!("HTTP/1.1 {status}").as_bytes(), "{path}");
        let (bytes, has_ended) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, end) = (Arc::clone(&bytes), Arc::clone(&has_ended));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                count.fetch_add(read as u64, Ordering::SeqCst);
            }
            end.store(true, Ordering::SeqCst);
        });
        Self {
            path,
            bytes,
            has_ended,
        }
    }
}

pub(crate) fn start(up: &Up) -> (Workspace, u16) {
    let port = free_port();
    let script = program("streams.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: exec python3 {} {port}\nports:\n  - port: {port}\n    visibility: public\n",
        script.display()
    );
    let workspace = up.start(repository(&[(".gitpod.yml", &yml)]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    (workspace, port)
}

/// The field of who has followed a link.
pub(crate) fn visitor(
    up: &Up,
    workspace: &Workspace,
    port: u16,
    share: &serde_json::Value,
) -> String {
    let url = share["url"].as_str().unwrap();
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    let visit = up.request(&workspace.host(port), &path, &[]);
    let cookie = visit
        .0
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.unwrap_or_else(|| panic!("no cookie: {}", visit.0));
    format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
}

pub(crate) fn done(up: &Up, args: &[&str]) {
    let output = up.run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
}

#[test]
fn attack_35_what_is_taken_back_ends_at_once_and_nothing_else_does() {
    let up = Up::new();
    let (workspace, port) = start(&up);
    let (other, other_port) = start(&up);
    let id = workspace.id();
    let share = || up.json(&["share", id, "--port", &port.to_string(), "-o", "json"]);
    let (first, second) = (share(), share());
    let open = |field: &str| Open::new(&up, &workspace, port, field);

    // Guests of a public port, and visitors who could come in that way as well.
    let guest = open("");
    let visitor_of = |share| open(&visitor(&up, &workspace, port, share));
    let visitors = [&first, &second].map(visitor_of);
    let owner = open(&format!("x-gitpod-owner-token: {}\r\n", workspace.token()));
    let others = Open::new(&up, &other, other_port, "");
    let share_id = |share: &serde_json::Value| share["share_id"].as_str().unwrap().to_owned();
    done(&up, &["unshare", id, &share_id(&first)]);
    visitors[0].go_on();
    let set = format!("{port}=private");
    let close = || done(&up, &["ports", id, "--set", &set]);
    guest.end_by("a port that is closed", close);
    visitors[0].end_by("the loss of the last right", || {});
    for open in [&visitors[1], &owner, &others] {
        open.go_on();
    }
    let (third, fourth) = (share(), share());
    let late = [&third, &fourth].map(visitor_of);
    late[0].end_by("a share that is ended", || {
        done(&up, &["unshare", id, &share_id(&third)]);
    });
    for open in [&late[1], &visitors[1], &owner, &others] {
        open.go_on();
    }
    late[1].end_by("the end of all shares", || done(&up, &["unshare", id]));
    visitors[1].end_by("the end of all shares before", || {});
    owner.go_on();
    owner.end_by("a stop", || done(&up, &["stop", id]));
    others.go_on();
    others.end_by("a removal", || done(&up, &["delete", other.id()]));
}
